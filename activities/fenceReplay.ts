/** The end of a replay: makes sure that no worker, however late it wakes, can add a record. */
import { hashToHex } from '../src/domain/hash.ts'
import { rootOf } from '../src/domain/merkle.ts'
import type { Hash, Offset } from '../src/domain/model.ts'
import { isRetryable, ServiceError } from '../src/errors.ts'
import type { ReplayLogRecord, ReplayRecord } from '../src/ports.ts'
import type { FencedLog, FencedReplay, FenceInput } from './contract.ts'
import { decodeCursor, encodeCursor, type Position, startOf } from './cursor.ts'
import type { ActivityDependencies, ActivityScope } from './dependencies.ts'
import { ownerOf, takeLane } from './lane.ts'

const LANES_AT_ONCE = 8
const ATTEMPTS = 3

/**
 * Takes the lane of each log, which fences the owner before, and commits its cursor again with a seal in its metadata.
 * A worker that was stopped before it took its lane is beyond fencing: it will take it, and find the seal. Returns the
 * final cursors. Can be repeated.
 */
export async function fenceReplay(
  deps: ActivityDependencies,
  scope: ActivityScope,
  { planId }: FenceInput,
): Promise<FencedReplay> {
  const record = await deps.replays.getPlan(planId)
  if (record === null) throw new ServiceError('REPLAY_NOT_FOUND', `no plan ${planId} is stored`)
  const target = await deps.topics.describe(record.plan.targetTopic)
  const fenced = new Map<number, FencedLog>()
  const queue = record.logs.values()
  const worker = async (): Promise<void> => {
    for (const log of queue) {
      fenced.set(log.partition, await fenceLog(deps, scope, record, log, target !== null))
      scope.report({ fenced: fenced.size, of: record.logs.length })
    }
  }
  await Promise.all(Array.from({ length: LANES_AT_ONCE }, worker))
  const logs = [...fenced.values()].sort((left, right) => left.partition - right.partition)
  return { targetUnchanged: target?.topicId === record.plan.targetTopicId, logs }
}

async function fenceLog(
  deps: ActivityDependencies,
  scope: ActivityScope,
  record: ReplayRecord,
  log: ReplayLogRecord,
  targetExists: boolean,
): Promise<FencedLog> {
  if (log.planned === 0n) return summarise(log, { ...startOf(ownerOf(record.plan, log)), offset: log.to })
  for (let attempt = 1; ; attempt++) {
    try {
      return await sealLog(deps, scope, record, log, targetExists)
    } catch (error) {
      if (attempt >= ATTEMPTS || scope.signal.aborted) throw error
      if (error instanceof ServiceError && !isRetryable(error.code)) throw error
      deps.logger.warn('fencing a log is tried again', {
        planId: record.plan.planId,
        logId: log.logId,
        error,
      })
    }
  }
}

async function sealLog(
  deps: ActivityDependencies,
  scope: ActivityScope,
  { plan }: ReplayRecord,
  log: ReplayLogRecord,
  targetExists: boolean,
): Promise<FencedLog> {
  const { lane, cursor } = await takeLane(deps, plan, log, null, scope.signal)
  try {
    const owner = ownerOf(plan, log)
    const position = cursor === null ? null : readable(() => decodeCursor(cursor, owner))
    // A log that was started and has no cursor cannot go on anyway: CURSOR_LOST. Where it stood, only the mirror knows.
    if (position === null && log.started) {
      await lane.abort()
      return mirrored(log)
    }
    const known = position ?? startOf(owner)
    // Without a target nothing can be produced, nor a cursor be committed.
    if (targetExists) await lane.commit(encodeCursor({ ...known, sealed: true }, plan.planHash))
    else await lane.abort()
    const root = rootOf(known.frontier, known.events)
    await deps.replays.mirrorProgress(plan.planId, log.logId, known.offset, known.events, root)
    return summarise(log, known)
  } finally {
    await lane.close()
  }
}

function readable(read: () => Position): Position | null {
  try {
    return read()
  } catch (error) {
    if (error instanceof ServiceError && error.code === 'CURSOR_LOST') return null
    throw error
  }
}

const summarise = (log: ReplayLogRecord, { offset, events, frontier }: Position): FencedLog =>
  describe(log.partition, offset, events, rootOf(frontier, events))

/** The mirror is written after a commit: what it says was so. */
const mirrored = ({ partition, cursor, events, rootHash }: ReplayLogRecord): FencedLog =>
  describe(partition, cursor, events, rootHash)

const describe = (partition: number, cursor: Offset, events: bigint, root: Hash | null): FencedLog => ({
  partition,
  cursor: String(cursor),
  events: String(events),
  rootHash: root === null ? '' : hashToHex(root),
})
