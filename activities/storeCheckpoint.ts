import type { CheckpointRequest } from '../src/domain/checkpointRequest.ts'
import { signCheckpoint } from '../src/domain/evidence/checkpointNote.ts'
import { signersOf } from '../src/domain/evidence/note.ts'
import { formatOrigin, nameOf } from '../src/domain/evidence/origin.ts'
import { hashToHex } from '../src/domain/hash.ts'
import type { Offset } from '../src/domain/model.ts'
import { offset as toOffset } from '../src/domain/model.ts'
import { ServiceError, SigningKeysChanged } from '../src/errors.ts'
import type {
  Checkpoint,
  CheckpointPosition,
  EventLogReader,
  KeyState,
  LogState,
  SignedPosition,
} from '../src/ports.ts'
import type { CheckpointInput, CheckpointResult } from './contract.ts'
import type { ActivityDependencies } from './dependencies.ts'
import { leadsToPresent, logsOf, refuse, requireHeld } from './ranges.ts'
import { currentSigners, type Signers } from './signers.ts'

/**
 * Size and root of each log below the offset, signed and stored once under the id. Nothing is signed that contradicts the
 * log itself or what was signed before: whoever can change rows has no key, and must not get a second history signed.
 * Throws UNKNOWN_TOPIC, UNKNOWN_PARTITION, OFFSET_NOT_INGESTED, OFFSET_BEFORE_LOG, CHECKPOINT_MISMATCH,
 * SIGNING_KEY_MISSING, SIGNING_KEY_REFUSED.
 */
export async function storeCheckpoint(
  {
    log,
    checkpoints,
    signingKeys,
    signing,
    checkpointStored,
  }: Pick<ActivityDependencies, 'log' | 'checkpoints' | 'signingKeys' | 'signing' | 'checkpointStored'>,
  { checkpointId, request, requestedBy }: CheckpointInput,
): Promise<CheckpointResult> {
  const { topic, partition } = request
  const places = await checkCheckpoint(log, request)
  const found: FoundPosition[] = []
  for (const place of places) found.push(await positionOf(log, place))
  await requireOneHistory({ log, checkpoints, signingKeys }, found)
  const offset = request.offset === undefined ? null : toOffset(BigInt(request.offset))
  const stored = await signAndStore(
    { checkpoints, signingKeys, signing },
    { id: checkpointId, topic, partition: partition ?? null, offset, createdBy: requestedBy },
    found,
  )
  if (stored.topic !== topic || stored.partition !== (partition ?? null) || stored.offset !== offset)
    throw new ServiceError(
      'BAD_REQUEST',
      `workflowId: the checkpoint ${checkpointId} exists with another request`,
    )
  checkpointStored()
  return present(stored)
}

interface FoundPosition {
  readonly state: LogState
  readonly position: Omit<CheckpointPosition, 'note'>
}

/** Far more than keys are ever changed while one checkpoint is signed. */
const MAX_SIGNINGS = 5

/** Signed anew when a key began or ended before it was stored: what is stored is signed by the keys of its time. */
async function signAndStore(
  {
    checkpoints,
    signingKeys,
    signing,
  }: Pick<ActivityDependencies, 'checkpoints' | 'signingKeys' | 'signing'>,
  checkpoint: Omit<Checkpoint, 'createdAt' | 'positions'>,
  found: readonly FoundPosition[],
): Promise<Checkpoint> {
  for (let signings = 1; ; signings++) {
    const signers = await currentSigners(signingKeys, signing)
    try {
      return await checkpoints.insertCheckpoint({
        ...checkpoint,
        createdAt: signers.at,
        positions: found.map((position) => signed(position, signers)),
        signedUnder: signers.periods,
      })
    } catch (error) {
      if (!(error instanceof SigningKeysChanged) || signings === MAX_SIGNINGS) throw error
    }
  }
}

/** The note says of the log, by its origin, what the position says of the row. */
function signed({ state, position }: FoundPosition, { keys }: Signers): CheckpointPosition {
  const [first] = keys
  if (first === undefined) return { ...position, note: null }
  const origin = formatOrigin({ instance: first.verifierKey.name, ...nameOf(state) })
  const { size, rootHash: root } = position
  return { ...position, note: signCheckpoint({ origin, size, root, extensions: [] }, keys) }
}

async function positionOf(
  reader: EventLogReader,
  { state, offset }: CheckpointPlace,
): Promise<FoundPosition> {
  const { logId, identity, position } = state
  const size = offset === position.nextOffset ? position.size : await reader.sizeAt(logId, offset)
  const rootHash = await reader.rootAt(logId, size)
  return { state, position: { logId, partition: identity.partition, offset, size, rootHash } }
}

/**
 * Each new position and the largest one that was signed of its log both lead to the log's own frontier, so that they are of one
 * history. Throws CHECKPOINT_MISMATCH.
 */
async function requireOneHistory(
  {
    log: reader,
    checkpoints,
    signingKeys,
  }: Pick<ActivityDependencies, 'log' | 'checkpoints' | 'signingKeys'>,
  found: readonly FoundPosition[],
): Promise<void> {
  const pairs: { position: FoundPosition['position']; largest: SignedPosition | null }[] = []
  for (const { position } of found)
    pairs.push({ position, largest: await checkpoints.largestSigned(position.logId) })
  // Read after all of them, so that the keys are not behind any.
  const keys = await signingKeys.keyState()
  for (const { position, largest } of pairs) await requireOneOf(reader, position, largest, keys)
}

async function requireOneOf(
  reader: EventLogReader,
  { logId, partition, size, rootHash }: FoundPosition['position'],
  largest: SignedPosition | null,
  keys: KeyState,
): Promise<void> {
  // Read after both positions, so that the log is not behind either.
  const present = await reader.logById(logId)
  if (present === null) throw new ServiceError('INTERNAL', 'A log is gone')
  if (!(await leadsToPresent(reader, present, size, rootHash)))
    throw refuse(
      'CHECKPOINT_MISMATCH',
      'partition',
      `partition ${partition}: the stored hashes below the offset do not lead to the root of the log; verify it`,
    )
  if (largest === null) return
  try {
    await requireHeld(reader, present, largest, keys)
  } catch (error) {
    if (!(error instanceof ServiceError) || error.code !== 'CHECKPOINT_MISMATCH') throw error
    throw refuse(
      'CHECKPOINT_MISMATCH',
      'partition',
      `the log is not what checkpoint ${largest.checkpointId} says of it: ${error.message}`,
    )
  }
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
      signedBy: signersOf(position.note),
    })),
  }
}
