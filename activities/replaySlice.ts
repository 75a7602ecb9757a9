/** Replays pages of one log for some seconds. */
import { setTimeout as sleep } from 'node:timers/promises'
import { rootOf } from '../src/domain/merkle.ts'
import { isRetryable, ServiceError } from '../src/errors.ts'
import type { LogInput, SliceResult } from './contract.ts'
import type { Position } from './cursor.ts'
import type { ActivityDependencies, ActivityScope } from './dependencies.ts'
import { type LaneSession, openSession } from './laneSession.ts'

/** Lanes dropped one after another without a commit between them. */
const MAX_LANE_FAILURES = 5
const FIRST_BACKOFF_MS = 50
const MIRROR_INTERVAL_MS = 1_000
/** A cancelled slice finishes its page; when Kafka or PostgreSQL hang, it is over after this. */
const FINISH_PAGE_MS = 3_000

/**
 * Returns where the log stands after `sliceMs`, at the end of the range, or after the page at hand when the slice was
 * cancelled or its worker stops. Throws ServiceError: CURSOR_LOST, LOG_DAMAGED, TARGET_MISSING, TARGET_RECREATED,
 * TARGET_REJECTED, REPLAY_ENDED, and what servers that are away cause, after some attempts.
 */
export async function replaySlice(
  deps: ActivityDependencies,
  scope: ActivityScope,
  input: LogInput,
): Promise<SliceResult> {
  const deadlineMs = deps.now() + deps.settings.sliceMs
  const stop = (): boolean => scope.signal.aborted || deps.now() >= deadlineMs
  const hard = hardSignal(scope.signal)
  const seen: Seen = { last: null, failures: 0 }
  try {
    for (;;) {
      try {
        return await runLane(deps, scope, input, { stop, signal: hard.signal, seen })
      } catch (error) {
        if (scope.signal.aborted && seen.last !== null) return seen.last
        if (!worthAnother(error, seen, scope)) throw error
        deps.observer.transaction('unknown')
        deps.observer.laneRestarted()
        deps.logger.warn('a lane was dropped and is opened again', { ...input, error })
        await sleep(FIRST_BACKOFF_MS * 2 ** seen.failures, undefined, { signal: scope.signal })
      }
    }
  } finally {
    hard.release()
  }
}

interface Seen {
  /** What is known to be committed. */
  last: SliceResult | null
  /** Since then. */
  failures: number
}

/** Step 4: whatever went wrong, its outcome is unknown; a new lane finds out. */
function worthAnother(error: unknown, seen: Seen, scope: ActivityScope): boolean {
  if (scope.signal.aborted || isFenced(error)) return false
  if (error instanceof ServiceError && !isRetryable(error.code)) return false
  return ++seen.failures < MAX_LANE_FAILURES
}

/** Somebody else took the lane: taking it back would only fence him. If this attempt still counts, it is given again. */
const isFenced = (error: unknown): boolean =>
  error instanceof ServiceError && 'fenced' in error && error.fenced === true

interface LaneRun {
  readonly stop: () => boolean
  readonly signal: AbortSignal
  readonly seen: Seen
}

async function runLane(
  deps: ActivityDependencies,
  scope: ActivityScope,
  input: LogInput,
  { stop, signal, seen }: LaneRun,
): Promise<SliceResult> {
  const session = await openSession(deps, input, signal)
  try {
    const { log } = session.work
    let mirroredAtMs = 0
    for (;;) {
      const position = session.position()
      const result = resultOf(session)
      if (seen.last !== null && seen.last.cursor !== result.cursor) seen.failures = 0
      seen.last = result
      scope.report({ partition: log.partition, cursor: result.cursor, events: result.events })
      const last = result.done || stop()
      if (last || deps.now() - mirroredAtMs >= MIRROR_INTERVAL_MS) {
        mirroredAtMs = deps.now()
        await mirror(deps, session, position)
      }
      if (last) return result
      await session.replayPages(stop)
    }
  } finally {
    await session.close()
  }
}

function resultOf({ work, position }: LaneSession): SliceResult {
  const { offset, events } = position()
  return { cursor: String(offset), events: String(events), done: offset >= work.log.to }
}

/** For people. Never the truth, but never ahead of it. */
async function mirror(deps: ActivityDependencies, { work }: LaneSession, position: Position): Promise<void> {
  const root = rootOf(position.frontier, position.events)
  await deps.replays.mirrorProgress(
    work.plan.planId,
    work.log.logId,
    position.offset,
    position.events,
    position.offset >= work.log.to ? root : null,
  )
}

/** Follows `soft` some seconds later. */
function hardSignal(soft: AbortSignal): { readonly signal: AbortSignal; readonly release: () => void } {
  const controller = new AbortController()
  let timer: NodeJS.Timeout | undefined
  const arm = (): void => {
    timer = setTimeout(() => controller.abort(soft.reason), FINISH_PAGE_MS)
  }
  if (soft.aborted) arm()
  else soft.addEventListener('abort', arm, { once: true })
  const release = (): void => {
    clearTimeout(timer)
    soft.removeEventListener('abort', arm)
  }
  return { signal: controller.signal, release }
}
