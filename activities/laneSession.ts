/** One owned lane of one log: from the first `begin` to the first error (docs/design.md §6, steps 1 to 3). */
import { appendLeaves } from '../src/domain/merkle.ts'
import { type LeafIndex, leafIndex } from '../src/domain/model.ts'
import { hasEnded } from '../src/domain/replayView.ts'
import { ServiceError } from '../src/errors.ts'
import type { EventPage } from '../src/ports.ts'
import { decodeCursor, encodeCursor, type Position, startOf } from './cursor.ts'
import type { ActivityDependencies } from './dependencies.ts'
import { loadWork, type OwnedLane, type PlannedLogWork, takeLane } from './lane.ts'
import { pageReader } from './pages.ts'
import { replayHeaders } from './replayHeaders.ts'
import { requireTarget } from './target.ts'

/** A transaction ends with the first page that reaches one of these; measured best at 8,000 to 16,000 events. */
const MAX_TRANSACTION_EVENTS = 12_000
const MAX_TRANSACTION_BYTES = 8 * 1024 * 1024
/** So that a pause acts soon, and a sparse filter does not hide how far it has come. */
const MAX_TRANSACTION_MS = 500

export interface LaneSession {
  readonly work: PlannedLogWork
  /** What is committed. */
  readonly position: () => Position
  /** Replays some pages in one transaction, fewer when `stop` says so. At the end of the range nothing is left to do. */
  readonly replayPages: (stop: () => boolean) => Promise<void>
  readonly close: () => Promise<void>
}

export async function openSession(
  deps: ActivityDependencies,
  input: { readonly planId: string; readonly logId: number },
  signal: AbortSignal,
): Promise<LaneSession> {
  const startedMs = deps.now()
  const { plan, log } = await loadWork(deps.replays, input.planId, input.logId)
  const { maxMessageBytes } = await requireTarget(deps.topics, plan)
  const owned = await takeLane(deps, plan, log, maxMessageBytes, signal)
  try {
    // Only now: whoever ends the replay from here on must take the lane first, and so fences this one.
    const work = await loadWork(deps.replays, input.planId, input.logId)
    const opened = await findPosition(deps, work, owned)
    const { offset } = opened.position
    deps.logger.debug('a lane was taken', { ...input, offset, tookMs: deps.now() - startedMs })
    return session(deps, work, owned, opened)
  } catch (error) {
    await owned.lane.close()
    throw error
  }
}

interface Opened {
  readonly position: Position
  readonly begun: boolean
}

/** Step 2: where the committed cursor is; on the very first start it is committed before anything else. */
async function findPosition(
  { replays }: ActivityDependencies,
  { record, log, owner, plan }: PlannedLogWork,
  { lane, cursor }: OwnedLane,
): Promise<Opened> {
  const lost = (why: string) =>
    new ServiceError(
      'CURSOR_LOST',
      `partition ${log.partition}: ${why}; to go on: pnpm replay recover-cursor ${plan.replayId}`,
    )
  if (cursor === null && log.started) throw lost('the cursor is gone from its group')
  const position = cursor === null ? startOf(owner) : decodeCursor(cursor, owner)
  if (position.offset < log.cursor)
    throw lost(`the cursor is at ${position.offset}, but was at ${log.cursor} before`)
  if (position.offset < log.to && (position.sealed || hasEnded(record.status)))
    throw new ServiceError('REPLAY_ENDED', 'the replay has ended')
  if (cursor === null) await lane.commit(encodeCursor(position, plan.planHash))
  if (!log.started) await replays.markStarted(plan.planId, log.logId)
  return { position, begun: cursor !== null }
}

function session(
  deps: ActivityDependencies,
  work: PlannedLogWork,
  { lane }: OwnedLane,
  opened: Opened,
): LaneSession {
  const { plan, log } = work
  const { pageEvents, pageBytes } = deps.settings
  const nextPage = pageReader(deps.log, work, opened.position.offset, {
    maxEvents: pageEvents,
    maxBytes: pageBytes,
  })
  const origin = { replayId: plan.replayId, topic: plan.topic, partition: log.partition }
  const headers = replayHeaders(origin)
  let { position, begun } = opened

  async function send(page: EventPage): Promise<void> {
    const { records } = page
    if (records.count === 0) return
    await lane.send(log.targetPartition, { records, selected: null, headersOf: headers(page) })
  }

  async function replayPages(stop: () => boolean): Promise<void> {
    if (position.offset >= log.to) return
    const startedMs = deps.now()
    if (!begun) await lane.begin()
    begun = false
    let next = position
    let events = 0
    let bytes = 0
    let scanned = 0
    do {
      const page = await nextPage()
      await send(page)
      next = advance(next, page)
      events += page.records.count
      bytes += page.records.bytes.length
      scanned += page.scanned
    } while (
      next.offset < log.to &&
      events < MAX_TRANSACTION_EVENTS &&
      bytes < MAX_TRANSACTION_BYTES &&
      deps.now() - startedMs < MAX_TRANSACTION_MS &&
      !stop()
    )
    await checkTargetId(deps, work)
    await lane.commit(encodeCursor(next, plan.planHash))
    position = next
    deps.observer.transaction('committed')
    deps.observer.pageCommitted({ events, scanned, seconds: (deps.now() - startedMs) / 1000 })
  }

  return { work, position: () => position, replayPages, close: () => lane.close() }
}

function advance(position: Position, page: EventPage): Position {
  const size: LeafIndex = leafIndex(position.events)
  const { frontier } = appendLeaves({ size, frontier: position.frontier }, page.leaves)
  return {
    offset: page.next,
    events: position.events + BigInt(page.records.count),
    frontier,
    sealed: false,
  }
}

/**
 * After the last send, once per transaction: a topic that was made again takes records without a word. Those that went
 * into the old one are found at the next transaction, or by the fence.
 */
async function checkTargetId({ topics }: ActivityDependencies, { plan, log }: PlannedLogWork): Promise<void> {
  const topicId = await topics.currentTopicId(plan.targetTopic, log.targetPartition)
  if (topicId !== plan.targetTopicId)
    throw new ServiceError('TARGET_RECREATED', `the topic ${plan.targetTopic} was deleted and made again`)
}
