/** Commands that have the service verify whole logs, and show what it found. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Command } from 'commander'
import type { Finding } from '../../domain/verification/finding.ts'
import { parseVerificationRequest } from '../../domain/verification/request.ts'
import {
  parseVerificationSchedule,
  type VerificationScheduleView,
} from '../../domain/verification/schedule.ts'
import {
  type VerificationView,
  type VerifiedPart,
  verificationEnded,
} from '../../domain/verification/view.ts'
import type { ApiClient } from '../apiClient.ts'
import { replayIdOf } from '../arguments.ts'
import { badInput, CliFailure, watchEnded } from '../failure.ts'
import { formatCount } from '../format.ts'
import type { FetchContext } from './fetch.ts'

const POLL_MS = 500
const LINE_EVERY_MS = 5_000

interface PlaceFlags {
  readonly topic?: string
  readonly partition?: string
  readonly incarnation?: string
}

interface VerifyLogFlags extends PlaceFlags {
  readonly detach?: boolean
}

interface ScheduleFlags extends PlaceFlags {
  readonly everyMinutes?: string
  readonly off?: boolean
}

export function addVerificationCommands(program: Command, context: FetchContext): void {
  const add = (name: string, description: string): Command =>
    program
      .command(name)
      .description(`${description} (asks the service at API_URL)`)
      .option('--json', 'one JSON object on stdout; progress goes to stderr')
  const ofLogs = (command: Command): Command =>
    command
      .option('--topic <topic>', 'only logs of this source topic (default: all logs)')
      .option('--partition <number>', 'only of this source partition')
      .option('--incarnation <number>', 'only this log among those of the partition')
  ofLogs(add('verify-log', 'read logs whole, and derive every column, leaf and root from the bytes again'))
    .option('--detach', 'start it and do not wait for its end')
    .action((flags: VerifyLogFlags) => verifyLog(flags, context))
  add('verify-replay', 'read the target of a replay back, and compare it with what was planned')
    .argument('<replay-id>')
    .option('--detach', 'start it and do not wait for its end')
    .action((id: string, flags: VerifyLogFlags) => verifyReplay(id, flags, context))
  add('verification', 'watch a verification to its end, and show what it found')
    .argument('<id>')
    .action((id: string) => follow(id, context))
  ofLogs(add('verification-schedule', 'show, change or end the schedule on which logs are verified'))
    .option('--every-minutes <number>', 'verify this often')
    .option('--off', 'no more')
    .action((flags: ScheduleFlags) => schedule(flags, context))
}

/** A number where it is one; what is not, the schema refuses with its own words. */
const numberOf = (given: string | undefined): number | string | undefined =>
  given !== undefined && /^\d{1,10}$/.test(given) ? Number(given) : given

const placeOf = ({ topic, partition, incarnation }: PlaceFlags) => ({
  ...(topic !== undefined && { topic }),
  ...(partition !== undefined && { partition: numberOf(partition) }),
  ...(incarnation !== undefined && { incarnation: numberOf(incarnation) }),
})

async function verifyLog(flags: VerifyLogFlags, context: FetchContext): Promise<void> {
  const parsed = parseVerificationRequest(placeOf(flags))
  if (!parsed.ok) throw badInput(parsed.problems)
  const api = context.connect()
  const view = (await api.post('/verifications', parsed.value)) as VerificationView
  context.terminal.line(`verification ${view.id} started`)
  await followOrLeave(view, flags.detach === true, context, api)
}

/** Throws CliFailure, exit code 1, when the target is not as it was planned. */
export async function verifyReplay(
  id: string,
  { detach = false }: { readonly detach?: boolean },
  context: FetchContext,
): Promise<void> {
  const api = context.connect()
  const path = `/replay/${encodeURIComponent(replayIdOf(id))}/verify`
  const view = (await api.post(path, {})) as VerificationView
  context.terminal.line(`verification ${view.id} started`)
  await followOrLeave(view, detach, context, api)
}

async function followOrLeave(
  view: VerificationView,
  detach: boolean,
  context: FetchContext,
  api: ApiClient,
): Promise<void> {
  if (!detach) return await followWith(view.id, context, api)
  context.terminal.line(`Follow it: pnpm evidence verification ${view.id}`)
  context.terminal.result(view)
}

const follow = (id: string, context: FetchContext): Promise<void> =>
  followWith(id, context, context.connect())

/** Throws CliFailure, exit code 1, when damage was found or the verification came to no verdict. */
async function followWith(id: string, { terminal }: FetchContext, api: ApiClient): Promise<void> {
  let linedAt = performance.now()
  for (;;) {
    const view = (await api
      .get(`/verifications/${encodeURIComponent(id)}`)
      .catch((error: unknown) =>
        watchEnded(error, `the verification goes on. Follow it: pnpm evidence verification ${id}`),
      )) as VerificationView
    if (verificationEnded(view.status)) {
      terminal.result(view)
      for (const line of formatVerification(view)) terminal.line(line)
      const failure = verdictFailure(view)
      if (failure !== null) throw failure
      return
    }
    if (performance.now() - linedAt >= LINE_EVERY_MS) {
      linedAt = performance.now()
      const { partsDone, parts, checked, total } = view.progress
      terminal.line(
        `running  ${partsDone} of ${parts} logs  ${formatCount(checked)} of ${formatCount(total)}`,
      )
    }
    await sleep(POLL_MS)
  }
}

/** What ends the command with 1; null when something was looked at, and all of it is as it must be. */
export function verdictFailure(view: VerificationView): CliFailure | null {
  const { id, status, damaged, error, progress } = view
  if (status === 'intact' && progress.parts > 0) return null
  if (status === 'intact')
    return new CliFailure(
      1,
      'NOT_VERIFIED',
      `verification ${id}: the database has no log, so nothing was verified. Is it the right one?`,
    )
  if (status === 'damaged') return new CliFailure(1, 'LOG_DAMAGED', `verification ${id}: ${damaged} damaged`)
  const why = error === undefined ? '' : `: ${error.code}: ${error.detail}`
  return new CliFailure(1, error?.code ?? 'INTERNAL', `verification ${id} ${status}${why}`)
}

export function formatVerification(view: VerificationView): string[] {
  const { progress, status } = view
  const { detached } = progress
  const away = detached === undefined ? '' : `, but for ${formatCount(detached)} detached leaves`
  // Behind "damaged" it must not be those that were looked at.
  const logs = status === 'damaged' ? view.damaged : progress.partsDone
  if (progress.parts === 0 && status === 'intact')
    return [`nothing verified: there is no log, verification ${view.id}`]
  return [
    `${status}${away}: ${logs} of ${progress.parts} logs, verification ${view.id}`,
    ...view.parts.flatMap(formatPart),
  ]
}

function formatPart(part: VerifiedPart): string[] {
  const name = `${part.topic}/${part.partition}, incarnation ${part.incarnation}`
  const counts = Object.entries(part.counts)
    .filter(([, count]) => count !== '0')
    .map(([what, count]) => `${formatCount(count)} ${what}`)
  const what = counts.length === 0 ? '' : ` (${counts.join(', ')})`
  const head = `  ${name}: ${part.verdict}, ${formatCount(part.checked)} checked${what}, root ${part.rootHash}`
  const found = Object.entries(part.found).map(([kind, count]) => `${formatCount(count ?? '0')} ${kind}`)
  const behind = part.offsetsBehindLastRow ?? '0'
  const end = behind === '0' ? [] : [`    the log goes on ${formatCount(behind)} offsets behind its last row`]
  const away = formatDetached(part)
  if (found.length === 0) return [head, ...end, ...away]
  return [
    head,
    ...end,
    ...away,
    `    found: ${found.join(', ')}`,
    ...part.findings.slice(0, 5).map(formatFinding),
  ]
}

/** Named one by one: nobody looked at these leaves. */
function formatDetached({ detached, unknownDetachedDays: unknown = [] }: VerifiedPart): string[] {
  const days = detached?.days.map(({ day, leaves, fromLeaf, toLeaf, archives }) => {
    const held = archives.map(({ id, place, manifestHash }) => `${id} in ${place} (manifest ${manifestHash})`)
    return `    detached with ${day}, and not looked at: ${formatCount(leaves)} leaves of ${fromLeaf} to ${toLeaf}, held by ${held.join(', ')}`
  })
  const more = detached?.more ?? 0
  return [
    ...(days ?? []),
    ...(more === 0 ? [] : [`    detached with ${formatCount(String(more))} more days`]),
    ...(unknown.length === 0
      ? []
      : [
          `    detached before their leaves were written down, so what is missing may be of them: ${unknown.join(', ')}`,
        ]),
  ]
}

function formatFinding({ kind, leafIndex, offset, targetOffset, column, detail }: Finding): string {
  const where = [
    ...(leafIndex === null ? [] : [`leaf ${leafIndex}`]),
    ...(offset === null ? [] : [`offset ${offset}`]),
    ...(targetOffset === undefined ? [] : [`target offset ${targetOffset}`]),
    ...(column === undefined ? [] : [column]),
  ]
  return `    ${kind}${where.length > 0 ? ` at ${where.join(', ')}` : ''}: ${detail}`
}

async function schedule(flags: ScheduleFlags, { connect, terminal }: FetchContext): Promise<void> {
  if (flags.off === true) {
    if (flags.everyMinutes !== undefined || Object.keys(placeOf(flags)).length > 0)
      throw badInput([{ path: '', message: '--off goes with no settings' }])
    await connect().delete('/verification-schedule')
    terminal.result({})
    terminal.line('logs are not verified on a schedule any more')
    return
  }
  const place = placeOf(flags)
  const asks = flags.everyMinutes !== undefined || Object.keys(place).length > 0
  const answer = asks ? await put(flags, connect) : await connect().get('/verification-schedule')
  const view = answer as VerificationScheduleView
  terminal.result(view)
  const next = view.nextRunAt === undefined ? '' : `, next at ${view.nextRunAt}`
  terminal.line(
    `${view.topic ?? 'all logs'} every ${formatCount(view.everyMinutes)} minutes${view.paused ? ', paused' : next}`,
  )
}

function put(flags: ScheduleFlags, connect: () => ApiClient): Promise<unknown> {
  const everyMinutes = numberOf(flags.everyMinutes)
  const parsed = parseVerificationSchedule({
    ...placeOf(flags),
    ...(everyMinutes !== undefined && { everyMinutes }),
  })
  if (!parsed.ok) throw badInput(parsed.problems)
  return connect().put('/verification-schedule', parsed.value)
}
