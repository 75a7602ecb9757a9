/** What an outsider needs about checkpoints: their notes, and that the log of an older one was only appended to. */
import type { OpenedCheckpoint } from '../domain/evidence/checkpointNote.ts'
import { formatConsistencyFile } from '../domain/evidence/consistencyFile.ts'
import { cosignatureLines, withLines } from '../domain/evidence/cosignature.ts'
import type { KeyPeriod } from '../domain/evidence/keyPeriods.ts'
import { type LogName, nameOf } from '../domain/evidence/origin.ts'
import { openStoredNote } from '../domain/evidence/storedNote.ts'
import { verifyConsistency } from '../domain/proofs.ts'
import { ServiceError } from '../errors.ts'
import type { Checkpoint, CheckpointPosition, CheckpointStore, SignedPosition } from '../ports.ts'
import type { EvidenceDependencies } from './operations.ts'

/** `partition` may be left out when only one is common to both. */
export interface ConsistencyQuery {
  readonly from: string
  readonly to: string
  readonly partition?: number
}

/**
 * A consistency proof between two checkpoints of one log. Nothing is handed out that does not verify. Throws BAD_REQUEST,
 * CHECKPOINT_NOT_FOUND, CHECKPOINT_FOREIGN, CHECKPOINT_UNSIGNED, CHECKPOINT_EMPTY, CHECKPOINTS_REVERSED,
 * CHECKPOINT_MISMATCH, LOG_DAMAGED.
 */
export async function proveConsistency(deps: EvidenceDependencies, query: ConsistencyQuery): Promise<string> {
  const { reader, checkpoints, signingKeys } = deps
  const [older, newer] = await positionsOf(checkpoints, query)
  if (older.size === 0n)
    throw new ServiceError('CHECKPOINT_EMPTY', 'Every log begins with the empty one: a proof says nothing')
  if (older.size > newer.size)
    throw new ServiceError(
      'CHECKPOINTS_REVERSED',
      `The checkpoint ${query.from} covers ${older.size} leaves, ${query.to} only ${newer.size}`,
    )
  const log = await reader.logById(older.logId)
  if (log === null) throw new ServiceError('LOG_DAMAGED', `The log ${older.logId} is gone`)
  const { periods } = await signingKeys.keyState()
  const named = nameOf(log)
  const { root: oldRoot } = openPosition(older, named, periods)
  const { root } = openPosition(newer, named, periods)
  const hashes = await reader.consistencyProof(older.logId, older.size, newer.size)
  if (!verifyConsistency({ oldSize: older.size, oldRoot, size: newer.size, root }, hashes))
    throw new ServiceError(
      'CHECKPOINT_MISMATCH',
      'What the log holds does not lead from one root to the other',
    )
  return formatConsistencyFile({
    oldCheckpoint: older.note,
    oldSize: older.size,
    hashes,
    checkpoint: newer.note,
  })
}

/**
 * The one note of a checkpoint, or that of the partition, with the cosignatures of witnesses. A note that does not verify
 * is not handed out. Throws BAD_REQUEST, CHECKPOINT_NOT_FOUND, UNKNOWN_PARTITION, CHECKPOINT_UNSIGNED,
 * CHECKPOINT_MISMATCH, LOG_DAMAGED.
 */
export async function handOutNote(
  { reader, checkpoints, signingKeys, notes }: EvidenceDependencies,
  id: string,
  partition: number | undefined,
): Promise<string> {
  const checkpoint = await checkpointWith(checkpoints, id)
  const { positions } = checkpoint
  if (partition === undefined && positions.length > 1) {
    const message = `is needed: the checkpoint has ${positions.length} notes`
    throw new ServiceError('BAD_REQUEST', `partition: ${message}`, {
      fields: [{ path: 'partition', message }],
    })
  }
  const isAsked = (each: CheckpointPosition): boolean =>
    partition === undefined || each.partition === partition
  if (!positions.some(isAsked))
    throw new ServiceError('UNKNOWN_PARTITION', `The checkpoint ${id} has no partition ${partition ?? 0}`)
  const position = pick(checkpoint, isAsked)
  const [log, { periods }, placed] = await Promise.all([
    reader.logById(position.logId),
    signingKeys.keyState(),
    notes.placedNotes(id),
  ])
  if (log === null) throw new ServiceError('LOG_DAMAGED', `The log ${position.logId} is gone`)
  openPosition(position, nameOf(log), periods)
  return withLines(position.note, cosignatureLines(placed.filter(({ logId }) => logId === position.logId)))
}

/** The two signed positions that are of one log. */
async function positionsOf(
  checkpoints: CheckpointStore,
  { from, to, partition }: ConsistencyQuery,
): Promise<readonly [SignedPosition, SignedPosition]> {
  const [older, newer] = [await checkpointWith(checkpoints, from), await checkpointWith(checkpoints, to)]
  const common = older.positions
    .map((position) => position.partition)
    .filter((each) => newer.positions.some((position) => position.partition === each))
  const [only] = common
  if (partition === undefined && common.length > 1)
    throw new ServiceError('BAD_REQUEST', `partition: is needed, ${common.length} are in both`, {
      fields: [{ path: 'partition', message: `is needed: ${common.length} partitions are in both` }],
    })
  const asked = partition ?? only
  const isAsked = (position: CheckpointPosition): boolean => position.partition === asked
  const [one, other] = [pick(older, isAsked), pick(newer, isAsked)]
  if (one.logId !== other.logId)
    throw new ServiceError('CHECKPOINT_FOREIGN', 'The checkpoints are of two incarnations of the log')
  return [one, other]
}

/** The signed position of a checkpoint, by its id. Throws CHECKPOINT_NOT_FOUND, CHECKPOINT_FOREIGN, CHECKPOINT_UNSIGNED. */
export const signedPosition = async (
  checkpoints: CheckpointStore,
  id: string,
  isAsked: (position: CheckpointPosition) => boolean,
): Promise<SignedPosition> => pick(await checkpointWith(checkpoints, id), isAsked)

async function checkpointWith(checkpoints: CheckpointStore, id: string): Promise<Checkpoint> {
  const checkpoint = await checkpoints.getCheckpoint(id)
  if (checkpoint !== null) return checkpoint
  throw new ServiceError('CHECKPOINT_NOT_FOUND', `There is no checkpoint ${id}`)
}

function pick(
  { id, createdAt, positions }: Checkpoint,
  isAsked: (position: CheckpointPosition) => boolean,
): SignedPosition {
  const position = positions.find(isAsked)
  if (position === undefined)
    throw new ServiceError('CHECKPOINT_FOREIGN', `The checkpoint ${id} does not cover that log`)
  const { note } = position
  if (note === null)
    throw new ServiceError('CHECKPOINT_UNSIGNED', `The checkpoint ${id} was made without a signing key`)
  return { ...position, note, checkpointId: id, createdAt }
}

/** The note opened with the keys of its time. Throws CHECKPOINT_MISMATCH when it does not say what its row says. */
export function openPosition(
  { checkpointId, note, size, rootHash: root, createdAt }: SignedPosition,
  log: LogName,
  periods: readonly KeyPeriod[],
): OpenedCheckpoint {
  const opened = openStoredNote({ note, log, size, root, signedAtMs: createdAt.getTime() }, periods)
  if (opened.ok) return opened.value
  throw new ServiceError('CHECKPOINT_MISMATCH', `The checkpoint ${checkpointId}: ${opened.detail}`)
}
