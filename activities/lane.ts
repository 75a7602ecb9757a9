/** The transactional lane of one log of a replay (docs/design.md §6, "Activity"). */
import type { ReplayPlan } from '../src/domain/replay.ts'
import { ServiceError } from '../src/errors.ts'
import type { Cursor, ReplayLogRecord, ReplayRecord, ReplayStore, TransactionLane } from '../src/ports.ts'
import type { CursorOwner } from './cursor.ts'
import type { ActivityDependencies } from './dependencies.ts'

/** Only metadata is sent on lanes that send no records. */
const NO_RECORDS_BYTES = 1_048_576

export interface PlannedLogWork {
  readonly record: ReplayRecord
  readonly plan: ReplayPlan
  readonly log: ReplayLogRecord
  readonly owner: CursorOwner
}

/** The stored plan and its share for one log. Throws REPLAY_NOT_FOUND. */
export async function loadWork(replays: ReplayStore, planId: string, logId: number): Promise<PlannedLogWork> {
  const record = await replays.getPlan(planId)
  const log = record?.logs.find((candidate) => candidate.logId === logId)
  if (record === null || log === undefined)
    throw new ServiceError('REPLAY_NOT_FOUND', `no plan ${planId} with log ${logId} is stored`)
  return { record, plan: record.plan, log, owner: ownerOf(record.plan, log) }
}

export const ownerOf = (plan: ReplayPlan, log: ReplayLogRecord): CursorOwner => ({
  planHash: plan.planHash,
  partition: log.partition,
  from: log.from,
  to: log.to,
})

export interface OwnedLane {
  readonly lane: TransactionLane
  /** The committed cursor: nobody else can move it from here on. */
  readonly cursor: Cursor | null
}

/**
 * Steps 1 and 2: fences every older owner, waits for its transaction to end, then reads the cursor. The first
 * transaction has begun. The caller closes the lane.
 */
export async function takeLane(
  deps: Pick<ActivityDependencies, 'lanes' | 'settings'>,
  plan: ReplayPlan,
  log: Pick<ReplayLogRecord, 'logId'>,
  maxMessageBytes: number | null,
  signal: AbortSignal,
): Promise<OwnedLane> {
  const id = `replay-${plan.planId}-${log.logId}`
  const lane = await deps.lanes.open(
    {
      transactionalId: id,
      groupId: id,
      targetTopic: plan.targetTopic,
      maxMessageBytes: maxMessageBytes ?? NO_RECORDS_BYTES,
      transactionTimeoutMs: deps.settings.transactionTimeoutMs,
    },
    signal,
  )
  try {
    await lane.begin()
    return { lane, cursor: await lane.readCursor() }
  } catch (error) {
    await lane.close()
    throw error
  }
}
