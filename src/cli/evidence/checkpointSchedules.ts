/** The command about checkpoints that are made by themselves, through the service. */
import type { Command } from 'commander'
import {
  type CheckpointScheduleRun,
  type CheckpointScheduleView,
  parseCheckpointSchedule,
} from '../../domain/checkpointSchedule.ts'
import type { ApiClient } from '../apiClient.ts'
import { badInput } from '../failure.ts'
import { formatCount } from '../format.ts'
import type { FetchContext } from './fetch.ts'

interface ScheduleFlags {
  readonly topic?: string
  readonly everySeconds?: string
  readonly everyEvents?: string
  readonly lookEverySeconds?: string
  readonly off?: boolean
}

/** Pages that are read at most; each holds up to a thousand. */
const MAX_PAGES = 20

export function addCheckpointScheduleCommand(program: Command, context: FetchContext): void {
  program
    .command('checkpoint-schedule')
    .description(
      'show, make, change or end the schedule on which checkpoints of a topic are made (asks the service at API_URL)',
    )
    .option('--topic <topic>', 'the source topic (default: show those of all topics)')
    .option('--every-seconds <number>', 'one when the newest is this old')
    .option('--every-events <number>', 'one when this many records were logged that none covers')
    .option('--look-every-seconds <number>', 'how often it is looked for that (default: 15)')
    .option('--off', 'no more')
    .option('--json', 'one JSON object on stdout')
    .action((flags: ScheduleFlags) => schedule(flags, context))
}

async function schedule(flags: ScheduleFlags, context: FetchContext): Promise<void> {
  const { terminal, connect } = context
  const { topic, off = false, ...settings } = flags
  const given = Object.keys(settings).filter((name) => name !== 'json')
  if (topic === undefined) {
    if (!off && given.length === 0) return await list(context)
    throw badInput([{ path: 'topic', message: 'is needed: which schedule is it about?' }])
  }
  const path = `/checkpoint-schedules/${encodeURIComponent(topic)}`
  if (off) {
    if (given.length > 0) throw badInput([{ path: '', message: '--off goes with no settings' }])
    await connect().delete(path)
    terminal.result({})
    terminal.line(`no checkpoints of ${topic} are made on a schedule any more`)
    return
  }
  const answer = given.length > 0 ? await put(flags, path, connect) : await connect().get(path)
  const view = answer as CheckpointScheduleView
  terminal.result(view)
  for (const line of linesOf(view)) terminal.line(line)
}

/** A number where it is one; what is not, the schema refuses with its own words. */
const numberOf = (given: string): number | string => (/^\d{1,15}$/.test(given) ? Number(given) : given)

function put(flags: ScheduleFlags, path: string, connect: () => ApiClient): Promise<unknown> {
  const { topic, everySeconds, everyEvents, lookEverySeconds } = flags
  const parsed = parseCheckpointSchedule({
    topic,
    ...(everySeconds !== undefined && { everySeconds: numberOf(everySeconds) }),
    ...(everyEvents !== undefined && { everyEvents: numberOf(everyEvents) }),
    ...(lookEverySeconds !== undefined && { lookEverySeconds: numberOf(lookEverySeconds) }),
  })
  if (!parsed.ok) throw badInput(parsed.problems)
  const { topic: _, ...settings } = parsed.value
  return connect().put(path, settings)
}

async function list({ terminal, connect }: FetchContext): Promise<void> {
  const api = connect()
  const items: CheckpointScheduleView[] = []
  let cursor: string | null = null
  for (let page = 0; page < MAX_PAGES && (page === 0 || cursor !== null); page++) {
    const query = new URLSearchParams({ limit: '1000', ...(cursor !== null && { cursor }) })
    const answer = (await api.get(`/checkpoint-schedules?${query}`)) as {
      readonly items: readonly CheckpointScheduleView[]
      readonly nextCursor: string | null
    }
    items.push(...answer.items)
    cursor = answer.nextCursor
  }
  terminal.result({ items, nextCursor: cursor })
  if (items.length === 0) terminal.line('no checkpoints are made on a schedule')
  for (const view of items) for (const line of linesOf(view)) terminal.line(line)
  if (cursor !== null) terminal.line('There are more: ask for one with --topic')
}

function linesOf(view: CheckpointScheduleView): string[] {
  const { topic, everySeconds, everyEvents, lookEverySeconds, paused, nextRunAt } = view
  const when = [
    ...(everySeconds === undefined ? [] : [`every ${formatCount(everySeconds)} seconds`]),
    ...(everyEvents === undefined
      ? []
      : [
          `every ${formatCount(everyEvents)} events, looked for every ${formatCount(lookEverySeconds ?? 0)} seconds`,
        ]),
    ...(view.broken === undefined ? [] : [`BROKEN: ${view.broken}`]),
  ].join(' and ')
  const next = nextRunAt === undefined ? '' : `, next look at ${nextRunAt}`
  const newest =
    view.newestCheckpoint === undefined
      ? 'no checkpoint yet'
      : `newest checkpoint ${view.newestCheckpoint.id} at ${view.newestCheckpoint.createdAt}`
  return [
    `${topic}: ${when}${paused ? ', paused' : next}`,
    `  ${newest}, ${formatCount(view.uncovered)} leaves not covered`,
    ...(view.lastRuns ?? []).map(lineOfRun),
  ]
}

function lineOfRun({ at, outcome, checkpointId, reason, error }: CheckpointScheduleRun): string {
  const made = checkpointId === undefined ? '' : ` ${checkpointId}`
  const why = reason === undefined ? '' : ` (${reason})`
  const trouble = error === undefined ? '' : `: ${error.code}: ${error.detail}`
  return `  ${at}  ${outcome}${made}${why}${trouble}`
}
