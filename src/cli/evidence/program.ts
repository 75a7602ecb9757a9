import { Command } from 'commander'
import { type AuditContext, type AuditFlags, audit } from './audit.ts'
import { addCheckpointScheduleCommand } from './checkpointSchedules.ts'
import { showCustody } from './custody.ts'
import {
  type ConsistencyFlags,
  type EventFlags,
  type FetchContext,
  fetchConsistency,
  fetchInclusion,
  fetchKeys,
  fetchNote,
  fetchRecord,
  type InclusionFlags,
  type NoteFlags,
  type OutFlags,
} from './fetch.ts'
import { type MakeKeyFlags, makeKey } from './makeKey.ts'
import {
  addProducerKey,
  listProducers,
  type PolicyFlags,
  type ProducerKeyFlags,
  setSignaturePolicy,
} from './producers.ts'
import { addVerificationCommands } from './verifications.ts'
import { type VerifyFlags, verify } from './verify.ts'

/** The commands of `pnpm evidence`. Only those that fetch evidence need the service. */
export function createEvidenceProgram(context: FetchContext & AuditContext): Command {
  const { terminal } = context
  const program = new Command('evidence')
    .description('Check what a log says about itself, with nothing but files and keys, and get such files')
    .exitOverride()
    .configureOutput({ outputError: (text, write) => write(text.replace(/\n(?=.)/g, ' ')) })
  const json = ['--json', 'one JSON object on stdout'] as const
  program
    .command('verify')
    .description('verify a signed checkpoint, an inclusion or consistency proof, or exported events')
    .argument('<file>', 'what to verify; what it is shows from its first line')
    .option(
      '--key <key>',
      'verifier key to trust, or a file with one a line; may be given again',
      collect,
      [],
    )
    .option('--event <file>', 'the exported event that an inclusion proof is about, if it does not carry it')
    .option('--origin <origin>', 'the log that is expected (default: each below the name of a key)')
    .option(
      '--witness <key>',
      'verifier key of a witness that must have cosigned; may be given again',
      collect,
      [],
    )
    .option(...json)
    .action((file: string, flags: VerifyFlags) => verify(file, flags, terminal))
  program
    .command('make-key')
    .description('make a key pair: the private key goes into a file, the verifier key to stdout')
    .requiredOption(
      '--name <name>',
      'whom it signs for, such as example.com/ingest: logs have origins below it',
    )
    .requiredOption('--out <file>', 'new file for the private key, readable by its owner only')
    .option(...json)
    .action((flags: MakeKeyFlags) => makeKey(flags, terminal))
  program
    .command('audit')
    .description('compare a database with notes of its checkpoints that are held elsewhere; needs no service')
    .requiredOption(
      '--notes <place>',
      'a folder, or a place as in NOTE_PLACES (s3://…, kafka:…); may be given again',
      collect,
      [],
    )
    .option(
      '--key <key>',
      "verifier key to trust, or a file with one a line; may be given again (default: the database's own)",
      collect,
      [],
    )
    .option(
      '--archives <place>',
      'a folder, or s3://bucket/prefix, whose archives are read back: they must hold what is detached; may be given again',
      collect,
      [],
    )
    .option('--database-url <url>', 'the database (default: DATABASE_URL)')
    .option('--origin <origin>', 'only the logs of this origin and below it')
    .option('--quick', 'believe the stored leaf hashes instead of deriving each from its bytes')
    .option(...json)
    .action((flags: AuditFlags) => audit(flags, context))
  addFetchCommands(program, context)
  addVerificationCommands(program, context)
  addCheckpointScheduleCommand(program, context)
  addProducerCommands(program, context)
  return program
}

function addFetchCommands(program: Command, context: FetchContext): void {
  const add = (name: string, description: string): Command =>
    program
      .command(name)
      .description(`${description} (asks the service at API_URL)`)
      .option('--out <file>', 'where to write it (default: stdout)')
      .option('--json', 'one JSON object on stdout')
  const ofEvent = (command: Command): Command =>
    command
      .requiredOption('--event-id <uuid>', 'the event')
      .option('--topic <topic>', 'where the event is, when several have the id')
      .option('--partition <number>', 'its source partition')
      .option('--incarnation <number>', 'its log among those of the partition')
      .option('--offset <offset>', 'its source offset')
  ofEvent(add('inclusion', 'get the proof that a signed checkpoint covers an event'))
    .option('--checkpoint <uuid>', 'the checkpoint (default: the newest that covers the event)')
    .action((flags: InclusionFlags) => fetchInclusion(flags, context))
  ofEvent(
    program
      .command('custody')
      .description('show where an event came from and what happened to it (asks the service at API_URL)')
      .option('--json', 'one JSON object on stdout'),
  ).action((flags: EventFlags) => showCustody(flags, context))
  ofEvent(add('record', 'get the exported record of an event')).action((flags: EventFlags) =>
    fetchRecord(flags, context),
  )
  add('consistency', 'get the proof that a log was only appended to between two checkpoints')
    .requiredOption('--from <uuid>', 'the older checkpoint')
    .requiredOption('--to <uuid>', 'the newer checkpoint')
    .option('--partition <number>', 'of which log, when both cover several')
    .action((flags: ConsistencyFlags) => fetchConsistency(flags, context))
  add('note', 'get the signed note of a checkpoint')
    .requiredOption('--checkpoint-id <uuid>', 'the checkpoint')
    .option('--partition <number>', 'of which log, when it covers several')
    .action((flags: NoteFlags) => fetchNote(flags, context))
  add('keys', 'get the verifier keys that sign checkpoints, now or before').action((flags: OutFlags) =>
    fetchKeys(flags, context),
  )
}

function addProducerCommands(program: Command, context: FetchContext): void {
  const add = (name: string, description: string): Command =>
    program
      .command(name)
      .description(`${description} (through the service at API_URL)`)
      .option('--json', 'one JSON object on stdout')
  add(
    'add-producer-key',
    'add the public key that a source signs its events with, or change how long it is valid',
  )
    .requiredOption('--source <source>', 'the source, as its events name it')
    .requiredOption('--key <key>', 'verifier key: <name>+<key id>+<base64>')
    .option('--valid-from <time>', 'ISO 8601 (default: now, or what it was)')
    .option('--valid-until <time>', 'ISO 8601 (default: no end)')
    .option('--reason <text>', 'why, for the record')
    .action((flags: ProducerKeyFlags) => addProducerKey(flags, context))
  add('set-signature-policy', 'decide what the signatures of a source are worth')
    .requiredOption('--source <source>', 'the source, as its events name it')
    .requiredOption(
      '--policy <policy>',
      'ignore, verify (those that are there) or require (every event has one)',
    )
    .option('--reason <text>', 'why, for the record')
    .action((flags: PolicyFlags) => setSignaturePolicy(flags, context))
  add('producer-keys', 'show the keys and policies of all sources')
    .option('--source <source>', 'only this one')
    .action((flags: { readonly source?: string }) => listProducers(flags, context))
}

const collect = (value: string, earlier: readonly string[]): readonly string[] => [...earlier, value]
