/** Which offsets of which logs a request means, as the logs stand now. Reads only. */

import { keysSigningAt } from '../src/domain/evidence/keyPeriods.ts'
import { nameOf } from '../src/domain/evidence/origin.ts'
import { openStoredNote } from '../src/domain/evidence/storedNote.ts'
import { rootOf } from '../src/domain/merkle.ts'
import type { Hash, LeafIndex, Offset } from '../src/domain/model.ts'
import { offset as toOffset } from '../src/domain/model.ts'
import { verifyConsistency } from '../src/domain/proofs.ts'
import type { ReplayRequest } from '../src/domain/replay.ts'
import { type ErrorCode, ServiceError } from '../src/errors.ts'
import type {
  Checkpoint,
  CheckpointPosition,
  CheckpointStore,
  EventLogReader,
  KeyState,
  LogState,
  SigningKeyStore,
} from '../src/ports.ts'

export interface LogRange {
  readonly log: LogState
  readonly from: Offset
  /** Exclusive; at most the log's next offset. */
  readonly to: Offset
}

export interface RangeSources {
  readonly log: EventLogReader
  readonly checkpoints: CheckpointStore
  readonly signingKeys: Pick<SigningKeyStore, 'keyState'>
}

export function refuse(code: ErrorCode, path: string, message: string): ServiceError {
  return new ServiceError(code, `${path}: ${message}`, { fields: [{ path, message }] })
}

/** The logs of a topic, all or one. Throws UNKNOWN_TOPIC, UNKNOWN_PARTITION. */
export async function logsOf(
  log: EventLogReader,
  topic: string,
  partition: number | undefined,
): Promise<readonly LogState[]> {
  const logs = await log.logsOf(topic)
  if (logs.length === 0) throw refuse('UNKNOWN_TOPIC', 'topic', `nothing was ingested from ${topic}`)
  if (partition === undefined) return logs
  const found = logs.filter((candidate) => candidate.identity.partition === partition)
  if (found.length === 0)
    throw refuse(
      'UNKNOWN_PARTITION',
      'partition',
      `nothing was ingested from ${topic}, partition ${partition}`,
    )
  return found
}

/**
 * Throws UNKNOWN_TOPIC, UNKNOWN_PARTITION, RANGE_EMPTY, OFFSET_NOT_INGESTED, CHECKPOINT_NOT_FOUND, CHECKPOINT_FOREIGN,
 * CHECKPOINT_MISMATCH; each names the field.
 */
export async function resolveRanges(
  sources: RangeSources,
  request: ReplayRequest,
): Promise<readonly LogRange[]> {
  const logs = await logsOf(sources.log, request.topic, request.partition)
  if (request.checkpointId !== undefined) {
    const checkpoint = await findCheckpoint(sources.checkpoints, request.checkpointId, request.topic)
    return await rangesAfter(sources, checkpoint, logs, request.partition)
  }
  const ranges = logs.map((log) => rangeOf(log, request))
  const asked = request.fromOffset ?? request.toOffset
  if (asked !== undefined && ranges.every(({ from, to }) => from >= to)) {
    const field = request.fromOffset === undefined ? 'toOffset' : 'fromOffset'
    throw refuse('RANGE_EMPTY', field, 'no log holds an offset of this range')
  }
  return ranges
}

/** Clamped to the log; with `partition` given, an offset that is not ingested yet is refused. */
function rangeOf(log: LogState, request: ReplayRequest): LogRange {
  const { nextOffset } = log.position
  for (const field of ['fromOffset', 'toOffset'] as const) {
    const asked = request[field]
    if (request.partition === undefined || asked === undefined || BigInt(asked) <= nextOffset) continue
    throw refuse(
      'OFFSET_NOT_INGESTED',
      field,
      `partition ${request.partition} is ingested up to ${nextOffset}`,
    )
  }
  const from = clamp(BigInt(request.fromOffset ?? '0'), log)
  const to = request.toOffset === undefined ? nextOffset : clamp(BigInt(request.toOffset), log)
  return to < from ? { log, from, to: from } : { log, from, to }
}

function clamp(asked: bigint, { startOffset, position }: LogState): Offset {
  if (asked < startOffset) return startOffset
  return toOffset(asked > position.nextOffset ? position.nextOffset : asked)
}

async function findCheckpoint(store: CheckpointStore, id: string, topic: string): Promise<Checkpoint> {
  const checkpoint = await store.getCheckpoint(id)
  if (checkpoint === null) throw refuse('CHECKPOINT_NOT_FOUND', 'checkpointId', 'there is no such checkpoint')
  if (checkpoint.topic !== topic)
    throw refuse('CHECKPOINT_FOREIGN', 'checkpointId', `it is a checkpoint of the topic ${checkpoint.topic}`)
  return checkpoint
}

/** What was logged after a checkpoint that still holds; logs that are younger than it, from their start. */
async function rangesAfter(
  { log: reader, signingKeys }: RangeSources,
  checkpoint: Checkpoint,
  logs: readonly LogState[],
  partition: number | undefined,
): Promise<readonly LogRange[]> {
  const positions = new Map(checkpoint.positions.map((position) => [position.partition, position]))
  if (partition !== undefined && checkpoint.partition !== null && !positions.has(partition))
    throw refuse('CHECKPOINT_FOREIGN', 'partition', `the checkpoint is of partition ${checkpoint.partition}`)
  const keys = await signingKeys.keyState()
  const ranges: LogRange[] = []
  for (const log of logs) {
    const position = positions.get(log.identity.partition)
    if (position !== undefined) {
      await requireSameLog(reader, log, position)
      await requireHeld(reader, log, { ...position, createdAt: checkpoint.createdAt }, keys)
    } else if (checkpoint.partition !== null) continue
    const from = position?.offset ?? log.startOffset
    ranges.push({ log, from: clamp(from, log), to: log.position.nextOffset })
  }
  return ranges
}

/** A checkpoint of an older incarnation says nothing about the log that goes on. */
async function requireSameLog(
  reader: EventLogReader,
  log: LogState,
  { logId, partition }: Checkpoint['positions'][number],
): Promise<void> {
  if (logId === log.logId) return
  const older = (await reader.logById(logId))?.incarnation ?? 'another'
  throw refuse(
    'CHECKPOINT_FOREIGN',
    'checkpointId',
    `partition ${partition}: it is of incarnation ${older}, the log that goes on is incarnation ${log.incarnation}`,
  )
}

export interface CheckedPosition extends CheckpointPosition {
  readonly createdAt: Date
}

/**
 * The log still is what a position of a checkpoint said of it, and the position says what its note does. Throws
 * CHECKPOINT_MISMATCH.
 */
export async function requireHeld(
  reader: EventLogReader,
  log: LogState,
  position: CheckedPosition,
  keys: KeyState,
): Promise<void> {
  verifyNote(log, position, position.createdAt, keys)
  await verifyPosition(reader, log, position)
}

const mismatch = (partition: number, why: string): ServiceError =>
  refuse('CHECKPOINT_MISMATCH', 'checkpointId', `partition ${partition}: ${why}`)

/** The signature is good, of a key that signed then, and about this log, this size and this root. */
function verifyNote(
  log: LogState,
  { partition, note, size, rootHash }: Checkpoint['positions'][number],
  createdAt: Date,
  { periods }: KeyState,
): void {
  const signedAtMs = createdAt.getTime()
  if (note === null) {
    if (keysSigningAt(periods, signedAtMs).length === 0) return
    throw mismatch(partition, 'it carries no signature, though it was made when all of them were signed')
  }
  const stored = { note, log: nameOf(log), size, root: rootHash, signedAtMs }
  const opened = openStoredNote(stored, periods)
  if (!opened.ok) throw mismatch(partition, opened.detail)
}

/** The log has the checkpoint's root at its size, and what it is now began with that. */
async function verifyPosition(
  reader: EventLogReader,
  { logId, position: present }: LogState,
  { partition, offset, size, rootHash }: Checkpoint['positions'][number],
): Promise<void> {
  if (offset > present.nextOffset) throw mismatch(partition, 'the log ends before the checkpoint')
  if ((await reader.sizeAt(logId, offset)) !== size)
    throw mismatch(partition, 'the log holds another number of records below the offset')
  if ((await reader.rootAt(logId, size)) !== rootHash)
    throw mismatch(partition, 'the log has another root hash at this size')
  if (!(await leadsToPresent(reader, { logId, position: present }, size, rootHash)))
    throw mismatch(partition, 'the present root of the log does not follow from it')
}

/** Whether the log as it is now, by its own frontier, began with this root at this size. */
export async function leadsToPresent(
  reader: Pick<EventLogReader, 'consistencyProof'>,
  { logId, position: present }: Pick<LogState, 'logId' | 'position'>,
  size: LeafIndex,
  rootHash: Hash,
): Promise<boolean> {
  // Every log begins with the empty one.
  if (size === 0n) return true
  const proof = await reader.consistencyProof(logId, size, present.size)
  const root = rootOf(present.frontier, present.size)
  return verifyConsistency({ oldSize: size, oldRoot: rootHash, size: present.size, root }, proof)
}
