import { cosignatureLines } from '../domain/evidence/cosignature.ts'
import { signersOf } from '../domain/evidence/note.ts'
import { hashToHex } from '../domain/hash.ts'
import { MalformedHeadersError, readHeaders } from '../domain/headers.ts'
import { type PresentedEvent, presentEvent } from '../domain/presentEvent.ts'
import { ServiceError } from '../errors.ts'
import type { Checkpoint, PlacedNote, StoredDeadLetter, StoredEvent, UnplacedNote } from '../ports.ts'
import type { CheckpointView, HeldView, WaitsView } from './operations.ts'

export function presentCheckpoint(
  checkpoint: Checkpoint,
  placed: readonly PlacedNote[],
  unplaced: readonly UnplacedNote[] = [],
): CheckpointView {
  const { id, topic, partition, offset, createdAt, createdBy, positions } = checkpoint
  return {
    id,
    topic,
    ...(partition !== null && { partition }),
    ...(offset !== null && { offset: offset.toString() }),
    createdAt: createdAt.toISOString(),
    createdBy,
    positions: positions.map((position) => ({
      partition: position.partition,
      offset: position.offset.toString(),
      size: position.size.toString(),
      rootHash: hashToHex(position.rootHash),
      signedBy: signersOf(position.note),
      heldBy: placed.filter(({ logId }) => logId === position.logId).map(presentHeld),
      ...(unplaced.some(({ logId }) => logId === position.logId) && {
        waitsFor: unplaced.filter(({ logId }) => logId === position.logId).map(presentWaits),
      }),
    })),
  }
}

function presentHeld({ place, outcome, placedAt, detail, cosignatures }: PlacedNote): HeldView {
  const cosignedBy = cosignatureLines([{ cosignatures }]).map(({ name, keyId }) => `${name}+${keyId}`)
  return {
    place,
    outcome,
    at: placedAt.toISOString(),
    ...(detail !== null && { detail }),
    ...(cosignedBy.length > 0 && { cosignedBy }),
  }
}

function presentWaits({ place, failure }: UnplacedNote): WaitsView {
  if (failure === null) return { place }
  const { code, detail, since, at } = failure
  return { place, failure: { code, detail, since: since.toISOString(), at: at.toISOString() } }
}

/** Throws LOG_DAMAGED when the stored value is no longer what the decoder accepted. */
export function presentStoredEvent(event: StoredEvent): PresentedEvent {
  try {
    return presentEvent(event)
  } catch (cause) {
    const place = `${event.topic}/${event.partition} at offset ${event.offset}`
    throw new ServiceError('LOG_DAMAGED', `The stored event of ${place} cannot be read`, { cause })
  }
}

/** Bytes in standard base64, whole, and what of them is text, shortened, for people. */
export interface DeadLetterView {
  readonly topic: string
  readonly partition: number
  readonly incarnation: number
  readonly offset: string
  readonly leafIndex: string
  readonly code: string
  readonly detail: string
  /** Milliseconds since the epoch, −1 when the record had none. */
  readonly kafkaTimestamp: string
  readonly ingestedAt: string
  readonly key: string | null
  readonly value: string | null
  /** In Kafka's own record encoding. */
  readonly headers: string
  readonly preview: {
    readonly key?: string
    readonly value?: string
    readonly headers?: readonly { readonly key: string; readonly value: string | null }[]
  }
}

export function presentDeadLetter(letter: StoredDeadLetter): DeadLetterView {
  const key = previewText(letter.key)
  const value = previewText(letter.value)
  const headers = previewHeaders(letter.headers)
  return {
    topic: letter.topic,
    partition: letter.partition,
    incarnation: letter.incarnation,
    offset: letter.offset.toString(),
    leafIndex: letter.leafIndex.toString(),
    code: letter.code,
    detail: letter.detail,
    kafkaTimestamp: letter.kafkaTimestamp.toString(),
    ingestedAt: letter.ingestedAt.toISOString(),
    key: letter.key?.toString('base64') ?? null,
    value: letter.value?.toString('base64') ?? null,
    headers: letter.headers.toString('base64'),
    preview: {
      ...(key !== null && { key }),
      ...(value !== null && { value }),
      ...(headers !== null && { headers }),
    },
  }
}

const previewBytes = 1_000
const previewHeaderCount = 20

/** The first thousand bytes as text when they are UTF-8; a character cut at the end does not count against them. */
function previewText(bytes: Buffer | null): string | null {
  if (bytes === null) return null
  try {
    const stream = bytes.length > previewBytes
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(
      bytes.subarray(0, previewBytes),
      { stream },
    )
  } catch {
    return null
  }
}

function previewHeaders(bytes: Buffer): { key: string; value: string | null }[] | null {
  try {
    return readHeaders(bytes)
      .slice(0, previewHeaderCount)
      .map(({ key, value }) => ({ key: key.slice(0, previewBytes), value: previewText(value) }))
  } catch (error) {
    if (error instanceof MalformedHeadersError) return null
    throw error
  }
}
