/** What operators can ask of logs: how they stand, and a new incarnation of those that are closed. */
import type { IncarnationRequest } from '../domain/incarnationRequest.ts'
import type { LogStanding, LogView, OpenedIncarnationsView } from '../domain/logView.ts'
import { type ErrorCode, isRetryable, ServiceError } from '../errors.ts'
import type { EventLogReader, ListedLog, LogQuery, LogState, Page, QueryStore } from '../ports.ts'
import { type IncarnationDependencies, openIncarnation } from './incarnation.ts'
import { requireClosed, standingOf } from './standing.ts'

export interface LogOperationsDependencies extends IncarnationDependencies {
  readonly reader: Pick<EventLogReader, 'logsOf'>
  readonly queries: Pick<QueryStore, 'findLogs'>
}

/** All throw ServiceError and are bounded in time. */
export interface LogOperations {
  listLogs(query: LogQuery): Promise<Page<LogView>>
  /** Throws UNKNOWN_TOPIC, UNKNOWN_PARTITION, SOURCE_MISSING, LOG_NOT_CLOSED; changes nothing. */
  checkIncarnation(request: IncarnationRequest): Promise<void>
  /** The same, and what it opened. */
  openIncarnation(request: IncarnationRequest): Promise<OpenedIncarnationsView>
}

const LOGS_AT_ONCE = 8
/** For all logs of a page together. */
const STANDINGS_MS = 5_000

export function createLogOperations(deps: LogOperationsDependencies): LogOperations {
  return {
    async listLogs(query) {
      const { items, nextCursor } = await deps.queries.findLogs(query)
      return { items: await withStandings(deps, items), nextCursor }
    },
    async checkIncarnation(request) {
      const logs = await newestLogs(deps.reader, request)
      const refusals: ServiceError[] = []
      await forEachAtOnce(logs, async (log) => {
        const standing = await standingOf(deps.directory, deps.groupId, log)
        const refusal = refusalOf(() => requireClosed(log, standing))
        if (refusal !== null) refusals.push(refusal)
      })
      if (refusals.length === logs.length) throw allRefused(request, refusals)
    },
    async openIncarnation(request) {
      const opened: LogState[] = []
      const left: { partition: number; refusal: ServiceError }[] = []
      await forEachAtOnce(await newestLogs(deps.reader, request), async (log) => {
        try {
          opened.push(await openIncarnation(deps, log))
        } catch (error) {
          if (!(error instanceof ServiceError) || isRetryable(error.code)) throw error
          left.push({ partition: log.identity.partition, refusal: error })
        }
      })
      if (opened.length === 0)
        throw allRefused(
          request,
          left.map(({ refusal }) => refusal),
        )
      return {
        opened: opened
          .sort((a, b) => a.identity.partition - b.identity.partition)
          .map((log) => viewOf(log, { state: 'open' })),
        left: left
          .sort((a, b) => a.partition - b.partition)
          .map(({ partition, refusal: { code, message } }) => ({ partition, code, detail: message })),
      }
    },
  }
}

async function newestLogs(
  reader: Pick<EventLogReader, 'logsOf'>,
  { topic, partition }: IncarnationRequest,
): Promise<readonly LogState[]> {
  const logs = await reader.logsOf(topic)
  if (logs.length === 0) throw refuse('UNKNOWN_TOPIC', 'topic', `nothing was ingested from ${topic}`)
  const wanted = logs.filter(({ identity }) => partition === undefined || identity.partition === partition)
  if (wanted.length === 0)
    throw refuse('UNKNOWN_PARTITION', 'partition', `nothing was ingested from ${topic}/${partition}`)
  return wanted
}

const refuse = (code: ErrorCode, path: string, message: string): ServiceError =>
  new ServiceError(code, `${path}: ${message}`, { fields: [{ path, message }] })

function refusalOf(work: () => unknown): ServiceError | null {
  try {
    work()
    return null
  } catch (error) {
    if (error instanceof ServiceError) return error
    throw error
  }
}

/** One log's own reason, or what all have in common. */
function allRefused({ topic }: IncarnationRequest, refusals: readonly ServiceError[]): ServiceError {
  const [first] = refusals
  if (first !== undefined && refusals.length === 1) return first
  const codes = new Set(refusals.map(({ code }) => code))
  const code = codes.size === 1 && first !== undefined ? first.code : 'LOG_NOT_CLOSED'
  return new ServiceError(
    code,
    `none of the ${refusals.length} logs of ${topic} is closed with a source to go on from`,
  )
}

/** What is known of each log within the limit. */
async function withStandings(
  deps: LogOperationsDependencies,
  logs: readonly ListedLog[],
): Promise<readonly LogView[]> {
  const standings = new Map<ListedLog, LogStanding>()
  const late = new AbortController()
  const limit = new Promise<void>((resolve) => late.signal.addEventListener('abort', () => resolve()))
  const timer = setTimeout(() => late.abort(), STANDINGS_MS)
  const asked = forEachAtOnce(logs, async (log) => {
    if (!late.signal.aborted) standings.set(log, await standingNow(deps, log))
  })
  try {
    await Promise.race([asked, limit])
  } finally {
    clearTimeout(timer)
    asked.catch(() => undefined) // nobody waits for it any more
  }
  return logs.map((log) => viewOf(log, standings.get(log) ?? { state: 'unknown' }))
}

const viewOf = (log: LogState, standing: LogStanding): LogView => ({
  topic: log.identity.topic,
  partition: log.identity.partition,
  incarnation: log.incarnation,
  topicId: log.identity.topicId,
  startOffset: String(log.startOffset),
  nextOffset: String(log.position.nextOffset),
  size: String(log.position.size),
  lastIngestedAt: log.lastIngestedAt?.toISOString() ?? null,
  ...standing,
})

async function standingNow(
  { directory, groupId }: Pick<LogOperationsDependencies, 'directory' | 'groupId'>,
  log: ListedLog,
): Promise<LogStanding> {
  if (log.superseded) return { state: 'superseded' }
  try {
    const standing = await standingOf(directory, groupId, log)
    if (standing.kind === 'closed') return { state: 'closed', code: standing.code }
    return { state: standing.kind === 'missing' ? 'missing' : 'open' }
  } catch (error) {
    if (error instanceof ServiceError && error.code === 'KAFKA_UNAVAILABLE') return { state: 'unknown' }
    throw error
  }
}

async function forEachAtOnce<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const queue = items.values()
  const worker = async (): Promise<void> => {
    for (const item of queue) await work(item)
  }
  await Promise.all(Array.from({ length: LOGS_AT_ONCE }, worker))
}
