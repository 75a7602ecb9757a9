import { Command } from 'commander'
import type { Terminal } from '../terminal.ts'
import { type MakeKeyFlags, makeKey } from './makeKey.ts'
import { type VerifyFlags, verify } from './verify.ts'

/** The commands of `pnpm evidence`. */
export function createEvidenceProgram(terminal: Terminal): Command {
  const program = new Command('evidence')
    .description('Check what a log says about itself, with nothing but files and keys')
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
  return program
}

const collect = (value: string, earlier: readonly string[]): readonly string[] => [...earlier, value]
