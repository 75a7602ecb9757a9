import type { CheckpointRequest } from '../src/domain/checkpointRequest.ts'
import { hashToHex } from '../src/domain/hash.ts'
import type { Offset } from '../src/domain/model.ts'
import { offset as toOffset } from '../src/domain/model.ts'
import { ServiceError } from '../src/errors.ts'
import type { Checkpoint, CheckpointPosition, EventLogReader, LogState } from '../src/ports.ts'
import type { CheckpointInput, CheckpointResult } from './contract.ts'
import type { ActivityDependencies } from './dependencies.ts'
import { logsOf, refuse } from './ranges.ts'

/**
 * Size and root of each log below the offset, stored once under the id. Throws UNKNOWN_TOPIC, UNKNOWN_PARTITION,
 * OFFSET_NOT_INGESTED, OFFSET_BEFORE_LOG.
 */
export async function storeCheckpoint(
  { log, checkpoints }: Pick<ActivityDependencies, 'log' | 'checkpoints'>,
  { checkpointId, request, requestedBy }: CheckpointInput,
): Promise<CheckpointResult> {
  const { topic, partition } = request
  const places = await checkCheckpoint(log, request)
  const positions: CheckpointPosition[] = []
  for (const place of places) positions.push(await positionOf(log, place))
  const offset = request.offset === undefined ? null : toOffset(BigInt(request.offset))
  const stored = await checkpoints.insertCheckpoint({
    id: checkpointId,
    topic,
    partition: partition ?? null,
    offset,
    createdBy: requestedBy,
    positions,
  })
  if (stored.topic !== topic || stored.partition !== (partition ?? null) || stored.offset !== offset)
    throw new ServiceError(
      'BAD_REQUEST',
      `workflowId: the checkpoint ${checkpointId} exists with another request`,
    )
  return present(stored)
}

async function positionOf(
  reader: EventLogReader,
  { state, offset }: CheckpointPlace,
): Promise<CheckpointPosition> {
  const { logId, identity, position } = state
  const size = offset === position.nextOffset ? position.size : await reader.sizeAt(logId, offset)
  const rootHash = await reader.rootAt(logId, size)
  return { logId, partition: identity.partition, offset, size, rootHash }
}

export interface CheckpointPlace {
  readonly state: LogState
  readonly offset: Offset
}

/** Which logs a checkpoint would cover, and below which offsets. Reads only; throws like `storeCheckpoint`. */
export async function checkCheckpoint(
  reader: EventLogReader,
  request: CheckpointRequest,
): Promise<readonly CheckpointPlace[]> {
  const logs = await logsOf(reader, request.topic, request.partition)
  return logs.map((state) => {
    const { identity, startOffset, position } = state
    const offset = request.offset === undefined ? position.nextOffset : toOffset(BigInt(request.offset))
    if (offset > position.nextOffset) {
      const reached = `partition ${identity.partition} is ingested up to ${position.nextOffset}`
      throw refuse('OFFSET_NOT_INGESTED', 'offset', reached)
    }
    if (offset < startOffset)
      throw refuse(
        'OFFSET_BEFORE_LOG',
        'offset',
        `the log of partition ${identity.partition} begins at ${startOffset}`,
      )
    return { state, offset }
  })
}

function present(checkpoint: Checkpoint): CheckpointResult {
  const { id, topic, partition, offset, createdAt, createdBy, positions } = checkpoint
  return {
    id,
    topic,
    ...(partition !== null && { partition }),
    ...(offset !== null && { offset: String(offset) }),
    createdAt: createdAt.toISOString(),
    createdBy,
    positions: positions.map((position) => ({
      partition: position.partition,
      offset: String(position.offset),
      size: String(position.size),
      rootHash: hashToHex(position.rootHash),
    })),
  }
}
