import { setTimeout as sleep } from 'node:timers/promises'
import { Command } from 'commander'
import { type HoldView, parseHoldRequest } from '../../domain/archive/hold.ts'
import { parseArchiveRequest } from '../../domain/archive/request.ts'
import { type ArchiveView, archiveEnded } from '../../domain/archive/view.ts'
import type { FetchContext } from '../evidence/fetch.ts'
import { badInput, CliFailure, watchEnded } from '../failure.ts'
import { formatCount } from '../format.ts'
import { formatAdoption, formatArchive, formatRecovery, formatVerification } from './present.ts'
import type { ArchiveTools } from './tools.ts'

export interface ArchiveContext extends FetchContext {
  /** Called by the commands that need no service, and by no other. */
  readonly tools: () => Promise<ArchiveTools>
}

const POLL_MS = 500
const LINE_EVERY_MS = 5_000

interface CreateFlags {
  readonly topic: string
  readonly partition?: string
  readonly incarnation?: string
  readonly from?: string
  readonly to?: string
  readonly fromLeaf?: string
  readonly toLeaf?: string
  readonly reason?: string
  readonly detach?: boolean
}

/** The commands of `pnpm archive`. `verify`, `recover` and `detach` need no service. */
export function createArchiveProgram(context: ArchiveContext): Command {
  const program = new Command('archive')
    .description(
      'Copy logs to a place outside the database, keep them there, and rebuild a database from them',
    )
    .exitOverride()
    .configureOutput({ outputError: (text, write) => write(text.replace(/\n(?=.)/g, ' ')) })
  const add = (name: string, description: string): Command =>
    program
      .command(name)
      .description(description)
      .option('--json', 'one JSON object on stdout; progress goes to stderr')
  addArchiveCommands(add, context)
  addHoldCommands(add, context)
  addToolCommands(add, context)
  return program
}

type Add = (name: string, description: string) => Command

function addArchiveCommands(add: Add, context: ArchiveContext): void {
  add('create', 'archive the logs of a topic to ARCHIVE_PLACE of the workers, and read all of it back')
    .requiredOption('--topic <topic>', 'source topic')
    .option('--partition <number>', 'only this source partition')
    .option('--incarnation <number>', 'only this log among those of the partition')
    .option('--from <time>', 'only what was ingested at this day or time, or later')
    .option('--to <time>', 'only what was ingested before this day or time')
    .option('--from-leaf <number>', 'first leaf, with --partition')
    .option('--to-leaf <number>', 'leaf behind the last one')
    .option('--reason <text>', 'why, for the record')
    .option('--detach', 'start it and do not wait for its end')
    .action((flags: CreateFlags) => create(flags, context))
  add('list', 'show the newest archives').action(async () => {
    const page = (await context.connect().get('/archives?limit=50')) as { items: readonly ArchiveView[] }
    context.terminal.result(page)
    for (const archive of page.items) for (const line of formatArchive(archive)) context.terminal.line(line)
    if (page.items.length === 0) context.terminal.line('there is no archive')
  })
  add('show', 'watch an archive to its end, and show what is in it')
    .argument('<id>')
    .action((id: string) => follow(id, context))
  add('cancel', 'end an archive that is being made')
    .argument('<id>')
    .action(async (id: string) => {
      const view = (await context
        .connect()
        .post(`/archives/${encodeURIComponent(id)}/cancel`, {})) as ArchiveView
      context.terminal.result(view)
      context.terminal.line(`archive ${view.id} is being cancelled`)
    })
}

const numberOf = (given: string | undefined): number | string | undefined =>
  given !== undefined && /^\d{1,10}$/.test(given) ? Number(given) : given

async function create({ detach = false, ...flags }: CreateFlags, context: ArchiveContext): Promise<void> {
  const { topic, partition, incarnation, from, to, fromLeaf, toLeaf, reason } = flags
  const parsed = parseArchiveRequest({
    topic,
    ...(partition !== undefined && { partition: numberOf(partition) }),
    ...(incarnation !== undefined && { incarnation: numberOf(incarnation) }),
    ...(from !== undefined && { from }),
    ...(to !== undefined && { to }),
    ...(fromLeaf !== undefined && { fromLeaf }),
    ...(toLeaf !== undefined && { toLeaf }),
    ...(reason !== undefined && { reason }),
  })
  if (!parsed.ok) throw badInput(parsed.problems)
  const view = (await context.connect().post('/archives', parsed.value)) as ArchiveView
  context.terminal.line(`archive ${view.id} started`)
  if (!detach) return await follow(view.id, context)
  context.terminal.line(`Follow it: pnpm archive show ${view.id}`)
  context.terminal.result(view)
}

/** Throws CliFailure, exit code 1, when it was not verified. */
async function follow(id: string, { terminal, connect }: ArchiveContext): Promise<void> {
  const api = connect()
  let linedAt = performance.now()
  let told = ''
  for (;;) {
    const view = (await api
      .get(`/archives/${encodeURIComponent(id)}`)
      .catch((error: unknown) =>
        watchEnded(error, `the archive goes on. Follow it: pnpm archive show ${id}`),
      )) as ArchiveView
    if (archiveEnded(view.status)) {
      terminal.result(view)
      for (const line of formatArchive(view)) terminal.line(line)
      if (view.status === 'verified') return
      const why = view.error === undefined ? '' : `: ${view.error.code}: ${view.error.detail}`
      throw new CliFailure(1, view.error?.code ?? 'INTERNAL', `archive ${id} ${view.status}${why}`)
    }
    const hindrance = hindranceOf(view)
    // Whoever looks why it stands still should not have to wait.
    if (performance.now() - linedAt >= LINE_EVERY_MS || (hindrance !== '' && hindrance !== told)) {
      linedAt = performance.now()
      told = hindrance
      const { written, leaves } = view.progress
      const waits = hindrance === '' ? '' : `; waits, tried ${view.waiting?.attempts} times: ${hindrance}`
      terminal.line(`running  ${formatCount(written)} of ${formatCount(leaves)} leaves written${waits}`)
    }
    await sleep(POLL_MS)
  }
}

/** What keeps it from going on; empty when nothing does. */
const hindranceOf = ({ waiting }: ArchiveView): string =>
  waiting === undefined ? '' : `${waiting.code}: ${waiting.detail}`

interface HoldFlags {
  readonly topic?: string
  readonly tenantId?: string
  readonly reason: string
}

function addHoldCommands(add: Add, context: ArchiveContext): void {
  const ofSubject = (command: Command): Command =>
    command
      .option('--topic <topic>', 'all events of this source topic')
      .option('--tenant-id <id>', 'all events of this tenant')
      .requiredOption('--reason <text>', 'why, for the record')
  ofSubject(add('hold', 'set a legal hold: no partition with such events is detached')).action(
    (flags: HoldFlags) => putHold('/legal-holds', flags, context),
  )
  ofSubject(add('lift', 'lift a legal hold')).action((flags: HoldFlags) =>
    putHold('/legal-holds/lift', flags, context),
  )
  add('holds', 'show all legal holds, those that were lifted too').action(async () => {
    const page = (await context.connect().get('/legal-holds')) as { items: readonly HoldView[] }
    context.terminal.result(page)
    for (const hold of page.items) context.terminal.line(formatHold(hold))
    if (page.items.length === 0) context.terminal.line('there is no legal hold')
  })
}

async function putHold(path: string, flags: HoldFlags, { connect, terminal }: ArchiveContext): Promise<void> {
  const { topic, tenantId, reason } = flags
  const body = { ...(topic !== undefined && { topic }), ...(tenantId !== undefined && { tenantId }), reason }
  const parsed = parseHoldRequest(body)
  if (!parsed.ok) throw badInput(parsed.problems)
  const hold = (await connect().post(path, body)) as HoldView
  terminal.result(hold)
  terminal.line(formatHold(hold))
}

const formatHold = ({ scope, subject, held, since, by, reason }: HoldView): string =>
  `${held ? 'held  ' : 'lifted'}  ${scope} ${subject}, since ${since}, by ${by}: ${reason}`

/** On one line; all of them are in the report. */
const MAX_COMPLAINTS = 5

interface VerifyFlags {
  readonly archive?: string
  readonly key: readonly string[]
  readonly verbose?: boolean
}

interface RecoverFlags {
  readonly from: readonly string[]
  readonly notes: readonly string[]
  readonly key: readonly string[]
  readonly kafka?: boolean
  readonly except: readonly string[]
  readonly instance?: string
}

function addToolCommands(add: Add, context: ArchiveContext): void {
  const { terminal } = context
  const keyOption = [
    '--key <key>',
    'verifier key to trust, or a file with one a line; may be given again',
    collect,
    [],
  ] as const
  const exceptOption = ['--except <uuid>', 'leave this archive out; may be given again', collect, []] as const
  const instanceOption = [
    '--instance <name>',
    'only the archives of this installation, where there are several',
  ] as const
  add('verify', 'read archives back, and verify every byte of them, with nothing but files and keys')
    .argument('<place>', 'a folder, or s3://bucket/prefix?region=… with S3_* for the credentials')
    .option('--archive <uuid>', 'only this one')
    .option(...keyOption)
    .option('-v, --verbose', 'name the folders, too, that are no archives')
    .action(async (place: string, { archive, key, verbose = false }: VerifyFlags) => {
      const input = { place, keys: key, ...(archive !== undefined && { id: archive }) }
      const report = await (await context.tools()).verify(input, terminal.line)
      terminal.result(report)
      for (const line of formatVerification(report, verbose)) terminal.line(line)
      const { archives, failed } = report
      const what = failed.slice(0, MAX_COMPLAINTS).map(({ code, detail }) => `${code}: ${detail}`)
      if (failed.length > 0)
        throw new CliFailure(
          1,
          'INCOMPLETE',
          `${failed.length} of ${failed.length + archives.length} archives are bad: ${what.join('; ')}`,
        )
    })
  add(
    'recover',
    'rebuild an empty, migrated database from archives (DATABASE_ADMIN_URL: its owner; DATABASE_URL names it)',
  )
    .option('--from <place>', 'where archives are; may be given again', collect, [])
    .option(
      '--notes <place>',
      'notes held elsewhere: a folder, or a place as in NOTE_PLACES; may be given again',
      collect,
      [],
    )
    .option(...keyOption)
    .option('--kafka', 'ask Kafka (KAFKA_*) what it still has of what is missing')
    .option(...exceptOption)
    .option(...instanceOption)
    .action(async ({ kafka = false, ...flags }: RecoverFlags) => {
      if (flags.from.length === 0) throw badInput([{ path: '--from', message: 'say where archives are' }])
      const report = await (await context.tools()).recover({ ...inputOf(flags), kafka }, terminal.line)
      terminal.result(report)
      for (const line of formatRecovery(report)) terminal.line(line)
      if (!report.complete)
        throw new CliFailure(
          1,
          'INCOMPLETE',
          'the database was rebuilt, and something is lost, or nobody knows: see above',
        )
    })
  add(
    'adopt-notes',
    'after a recovery, when ingest has caught up: the roots of all notes, and their checkpoints (DATABASE_URL)',
  )
    .option(
      '--notes <place>',
      'signed notes that were kept elsewhere: a folder, or a place as in NOTE_PLACES; may be given again',
      collect,
      [],
    )
    .option(
      '--from <place>',
      'archives, whose manifests have signed notes too; may be given again',
      collect,
      [],
    )
    .option(...exceptOption)
    .option(...instanceOption)
    .option(...keyOption)
    .action(async ({ kafka: _, ...flags }: RecoverFlags) => {
      if (flags.notes.length + flags.from.length === 0)
        throw badInput([{ path: '--notes', message: 'say where notes are: --notes, --from, or both' }])
      const report = await (await context.tools()).adoptNotes(inputOf(flags), terminal.line)
      terminal.result(report)
      for (const line of formatAdoption(report)) terminal.line(line)
      if (!report.complete)
        throw new CliFailure(
          1,
          'INCOMPLETE',
          'not all notes are borne out yet: wait for ingest, or see above',
        )
    })
  add('detach', 'take a day out of the log that verified archives hold (DATABASE_ADMIN_URL: the owner)')
    .requiredOption('--day <day>', 'UTC day of ingestion, such as 2026-01-31')
    .requiredOption('--reason <text>', 'why, for the record')
    .action(async (flags: { readonly day: string; readonly reason: string }) => {
      const detached = await (await context.tools()).detach(flags)
      terminal.result(detached)
      terminal.line(
        `detached ${detached.table} with ${formatCount(detached.events)} events; the table is still there: drop it when you want its space`,
      )
    })
}

const inputOf = ({ from, notes, key, except, instance }: Omit<RecoverFlags, 'kafka'>) => ({
  ...{ from, notes, keys: key, except },
  ...(instance !== undefined && { instance }),
})

const collect = (value: string, earlier: readonly string[]): readonly string[] => [...earlier, value]
