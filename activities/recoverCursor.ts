/** Goes on, by an operator's decision, with a replay whose cursor is gone (docs/design.md §6, "A lost cursor"). */

import { rootOf } from '../src/domain/merkle.ts'
import type { Offset } from '../src/domain/model.ts'
import { offset } from '../src/domain/model.ts'
import { hasEnded } from '../src/domain/replayView.ts'
import { ServiceError } from '../src/errors.ts'
import type { Cursor, ReplayRecord, TransactionLane } from '../src/ports.ts'
import type { RecoveredLog, RecoveredReplay, RecoverInput } from './contract.ts'
import { decodeCursor, encodeCursor, type Position } from './cursor.ts'
import type { ActivityDependencies, ActivityScope } from './dependencies.ts'
import { loadWork, type PlannedLogWork, takeLane } from './lane.ts'
import { type Evidence, lastProduced } from './lastProduced.ts'
import { type Recount, recount } from './recount.ts'
import { requireTarget } from './target.ts'

/** Each counts through its log. */
const LOGS_AT_ONCE = 2

/**
 * Lets the replay run again, and commits a cursor for every log of it: the one that is there, without the seal of the
 * replay's end; else one exactly behind what the target's records say was committed. The lane of a log is taken first, so that
 * no older owner can add a record to what is then read. Can be repeated. Throws REPLAY_NOT_FOUND, REPLAY_ENDED,
 * TARGET_MISSING, TARGET_RECREATED, LOG_DAMAGED; CURSOR_LOST where the target does not tell and doubles are not accepted,
 * or lacks records that were committed to it.
 */
export async function recoverCursor(
  deps: ActivityDependencies,
  scope: ActivityScope,
  { planId, acceptDoubles }: RecoverInput,
): Promise<RecoveredReplay> {
  const record = await reopen(deps, planId)
  await requireTarget(deps.topics, record.plan)
  const recovered: RecoveredLog[] = []
  const queue = record.logs.values()
  const worker = async (): Promise<void> => {
    for (const log of queue) {
      const done = await recoverLog(deps, scope, { planId, logId: log.logId }, acceptDoubles)
      deps.logger.info('the cursor of a log was recovered', { planId, ...done })
      recovered.push(done)
    }
  }
  await Promise.all(Array.from({ length: LOGS_AT_ONCE }, worker))
  return { logs: recovered.sort((left, right) => left.partition - right.partition) }
}

async function reopen({ replays }: ActivityDependencies, planId: string): Promise<ReplayRecord> {
  await replays.reopen(planId, 'CURSOR_LOST')
  const record = await replays.getPlan(planId)
  if (record === null) throw new ServiceError('REPLAY_NOT_FOUND', `no plan ${planId} is stored`)
  if (hasEnded(record.status)) throw new ServiceError('REPLAY_ENDED', `the replay is ${record.status}`)
  return record
}

interface LogKey {
  readonly planId: string
  readonly logId: number
}

async function recoverLog(
  deps: ActivityDependencies,
  scope: ActivityScope,
  key: LogKey,
  acceptDoubles: boolean,
): Promise<RecoveredLog> {
  const { log } = await loadWork(deps.replays, key.planId, key.logId)
  // Such a log is never begun.
  if (log.planned === 0n) return described(log.partition, log.to, 0n, 'unstarted')
  const first = await holding(deps, scope, key, async (held): Promise<RecoveredLog | Lost> => {
    if (held.known !== null) return await settle(deps, held, held.known, 'kept')
    const { lane, work } = held
    await lane.abort()
    if (held.unstarted) return described(log.partition, log.from, 0n, 'unstarted')
    return { work, producerId: lane.producerId }
  })
  if ('by' in first) return first
  const { position, by } = await find(deps, scope, first, acceptDoubles)
  // Reading took its time, and a connection that lies idle is closed: the lane is taken once more.
  return await holding(deps, scope, key, (held) =>
    held.known === null ? settle(deps, held, position, by) : settle(deps, held, held.known, 'kept'),
  )
}

interface Held {
  readonly lane: TransactionLane
  readonly work: PlannedLogWork
  /** The cursor that is there; null when it is lost or was never there. */
  readonly known: Position | null
  /** Nothing was ever produced: the next slice makes the first cursor. */
  readonly unstarted: boolean
}

interface Lost {
  readonly work: PlannedLogWork
  readonly producerId: bigint | null
}

/** Takes the lane of a log for `use`, which ends the transaction: nobody else can move the cursor meanwhile. */
async function holding<T>(
  deps: ActivityDependencies,
  scope: ActivityScope,
  { planId, logId }: LogKey,
  use: (held: Held) => Promise<T>,
): Promise<T> {
  const { plan, log } = await loadWork(deps.replays, planId, logId)
  const { lane, cursor } = await takeLane(deps, plan, log, null, scope.signal)
  try {
    // Only now: what an older owner mirrored up to here counts.
    const work = await loadWork(deps.replays, planId, logId)
    const unstarted = cursor === null && !work.log.started
    return await use({ lane, work, known: usable(cursor, work), unstarted })
  } finally {
    await lane.close()
  }
}

/** Commits the cursor without a seal. */
async function settle(
  { replays }: ActivityDependencies,
  { lane, work: { plan, log } }: Held,
  position: Position,
  by: RecoveredLog['by'],
): Promise<RecoveredLog> {
  const { offset: at, events, frontier } = position
  await lane.commit(encodeCursor({ ...position, sealed: false }, plan.planHash))
  const root = at >= log.to ? rootOf(frontier, events) : null
  await replays.mirrorProgress(plan.planId, log.logId, at, events, root)
  return described(log.partition, at, events, by)
}

/** A cursor of this plan that is not behind what was mirrored. */
function usable(cursor: Cursor | null, { log, owner }: PlannedLogWork): Position | null {
  if (cursor === null) return null
  try {
    const position = decodeCursor(cursor, owner)
    return position.offset < log.cursor ? null : position
  } catch (error) {
    if (error instanceof ServiceError && error.code === 'CURSOR_LOST') return null
    throw error
  }
}

/** Where the log really stands. The mirror may be behind by about a second of events, and is never ahead. */
async function find(
  deps: ActivityDependencies,
  scope: ActivityScope,
  { work, producerId }: Lost,
  acceptDoubles: boolean,
): Promise<{ readonly position: Position; readonly by: RecoveredLog['by'] }> {
  const { log } = work
  if (log.cursor >= log.to) {
    const { position } = await recount(deps, scope, work, log.to)
    return { position, by: 'mirror-end' }
  }
  const evidence = await lastProduced(deps.targets, work, producerId, scope.signal)
  if (evidence.kind === 'unknown' && !acceptDoubles)
    throw lost(
      work,
      `${evidence.why}. Where it stood, only the mirror knows, up to a second of events late: accept that these may come ` +
        'twice (--accept-doubles), or replay again into a new target',
    )
  const upTo = evidence.kind === 'last' ? later(offset(evidence.source + 1n), log.cursor) : log.cursor
  const counted = await recount(deps, scope, work, upTo)
  requireAgreement(work, evidence, counted)
  return { position: counted.position, by: evidence.kind === 'unknown' ? 'mirror' : 'read-back' }
}

/** The last record of the target must be the last planned event below the cursor: what was committed is still there. */
function requireAgreement(work: PlannedLogWork, evidence: Evidence, { last }: Recount): void {
  if (evidence.kind === 'unknown') return
  const there = evidence.kind === 'last' ? evidence.source : null
  if (there === last) return
  throw lost(
    work,
    `the target's last record is of source offset ${there ?? 'none'}, but ${last ?? 'no event'} was to be: records that were ` +
      'committed are gone from it, or strangers are in it. Replay again into a new target',
  )
}

const later = (left: Offset, right: Offset): Offset => (left > right ? left : right)

const lost = ({ log }: PlannedLogWork, why: string): ServiceError =>
  new ServiceError('CURSOR_LOST', `partition ${log.partition}: ${why}`)

const described = (
  partition: number,
  cursor: Offset,
  events: bigint,
  by: RecoveredLog['by'],
): RecoveredLog => ({ partition, cursor: String(cursor), events: String(events), by })
