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
  const offset = request.offset === undefined ? null : toOffset(BigInt(request.offset))
  const logs = await logsOf(log, topic, partition)
  const positions: CheckpointPosition[] = []
  for (const state of logs) positions.push(await positionOf(log, state, offset))
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
  { logId, identity, startOffset, position }: LogState,
  asked: Offset | null,
): Promise<CheckpointPosition> {
  const { partition } = identity
  const offset = asked ?? position.nextOffset
  if (offset > position.nextOffset)
    throw refuse(
      'OFFSET_NOT_INGESTED',
      'offset',
      `partition ${partition} is ingested up to ${position.nextOffset}`,
    )
  if (offset < startOffset)
    throw refuse('OFFSET_BEFORE_LOG', 'offset', `the log of partition ${partition} begins at ${startOffset}`)
  const size = offset === position.nextOffset ? position.size : await reader.sizeAt(logId, offset)
  return { logId, partition, offset, size, rootHash: await reader.rootAt(logId, size) }
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
