/** What an outsider needs about one event: the record as Kafka held it, and the proof that a signed checkpoint covers it. */
import { cosignatureLines, withLines } from '../domain/evidence/cosignature.ts'
import { type ExportedRecord, formatExportedRecord, leafOf } from '../domain/evidence/exportedRecord.ts'
import { fitsExtra, formatTlogProof } from '../domain/evidence/tlogProof.ts'
import { leafIndex } from '../domain/model.ts'
import { verifyInclusion } from '../domain/proofs.ts'
import { ServiceError } from '../errors.ts'
import type { SignedPosition, StoredEvent } from '../ports.ts'
import { openPosition, signedPosition } from './checkpointEvidence.ts'
import type { EvidenceDependencies } from './operations.ts'

/** The record, of the log with this origin. Throws LOG_DAMAGED when its bytes no longer have the leaf stored with them. */
export function exportEvent(event: StoredEvent, origin: string): ExportedRecord {
  const { offset, kafkaTimestamp: timestamp, key, headers, value } = event
  const content = { kind: 'record', offset, timestamp, key, headers, value } as const
  if (leafOf(content) !== event.leafHash)
    throw new ServiceError('LOG_DAMAGED', `The stored event at offset ${offset} no longer has its leaf`)
  return {
    origin,
    leafIndex: event.leafIndex,
    content,
    ingestedAt: event.ingestedAt.getTime(),
  }
}

/**
 * A C2SP tlog-proof of the event under the checkpoint that was named, else the newest signed one that covers it. It
 * carries the record where that fits, and the cosignatures of witnesses. Nothing is handed out that does not verify. Throws NOT_COVERED,
 * CHECKPOINT_NOT_FOUND, CHECKPOINT_FOREIGN, CHECKPOINT_UNSIGNED, CHECKPOINT_MISMATCH, LOG_DAMAGED.
 */
export async function proveEvent(
  deps: EvidenceDependencies,
  event: StoredEvent,
  checkpointId: string | undefined,
): Promise<string> {
  const [position, { periods }] = await Promise.all([
    checkpointId === undefined ? newestOver(deps, event) : namedOver(deps, event, checkpointId),
    deps.signingKeys.keyState(),
  ])
  const { origin, root } = openPosition(position, event, periods)
  const { size, note } = position
  const record = exportEvent(event, origin)
  const [hashes, placed] = await Promise.all([
    deps.reader.inclusionProof(event.logId, event.leafIndex, leafIndex(size)),
    deps.notes.placedNotes(position.checkpointId),
  ])
  const claim = { index: event.leafIndex, size, leaf: event.leafHash, root }
  if (!verifyInclusion(claim, hashes))
    throw new ServiceError(
      'CHECKPOINT_MISMATCH',
      `What the log holds around the event does not lead to the root of the checkpoint ${position.checkpointId}`,
    )
  const extra = Buffer.from(formatExportedRecord(record), 'utf8')
  return formatTlogProof({
    extra: fitsExtra(extra) ? extra : null,
    index: event.leafIndex,
    hashes,
    checkpoint: withLines(note, cosignatureLines(placed.filter(({ logId }) => logId === event.logId))),
  })
}

async function newestOver(
  { checkpoints }: EvidenceDependencies,
  { logId, leafIndex: index, topic, partition }: StoredEvent,
): Promise<SignedPosition> {
  const found = await checkpoints.newestCovering(logId, index)
  if (found !== null) return found
  throw new ServiceError(
    'NOT_COVERED',
    `No signed checkpoint of ${topic}/${partition} covers the event yet: make one`,
  )
}

async function namedOver(
  { checkpoints }: EvidenceDependencies,
  event: StoredEvent,
  checkpointId: string,
): Promise<SignedPosition> {
  const position = await signedPosition(checkpoints, checkpointId, (each) => each.logId === event.logId)
  if (event.leafIndex < position.size) return position
  throw new ServiceError(
    'NOT_COVERED',
    `The event is newer than the checkpoint: it is leaf ${event.leafIndex}, and ${position.size} are covered`,
  )
}
