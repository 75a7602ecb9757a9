import type { Codec } from '../source/codecs.ts'
import { carry, makeEvent, type SourceRecord } from '../source/event.ts'
import { Random } from '../source/random.ts'
import { RecordBatchEncoder } from '../source/recordBatch.ts'

/** Batches that are small until they are opened. */
export interface PackedBatch {
  readonly name: string
  readonly records: readonly SourceRecord[]
  /** As it is sent: any number of times, since nobody numbers it. */
  readonly bytes: Buffer
  readonly unpackedBytes: number
}

const mebibyte = 1_048_576
const densestGzip = 9
const bombRecords = 40_000
const bombValueBytes = 5_000
/** Below the 64 MiB that ingest opens. */
const largeRecords = 960
const largeValueBytes = 65_536

/**
 * A batch that unpacks to 200 MB; of all codecs but snappy, which packs at most 21 bytes into one, it is smaller than a
 * mebibyte. One record after the other is the same.
 */
export function makeBomb(codec: Exclude<Codec, 'none'>): PackedBatch {
  const record = {
    key: null,
    value: Buffer.alloc(bombValueBytes, 'bomb '),
    headers: [],
    timestamp: 1_760_000_000_000,
  }
  const records = Array<SourceRecord>(bombRecords).fill(record)
  const bytes = new RecordBatchEncoder(densestGzip).encode(records, codec)
  if (codec !== 'snappy' && bytes.length > mebibyte)
    throw new Error(`a bomb packed with ${codec} takes ${bytes.length} bytes`)
  return { name: codec, records, bytes, unpackedBytes: bombRecords * bombValueBytes }
}

/** A batch of events that unpacks to nearly as much as ingest opens. */
export function makeLargeBatch(codec: Codec, seed: number): PackedBatch {
  const random = new Random(seed, 0)
  const records = Array.from({ length: largeRecords }, (_, index) => {
    const { provenance: _hashed, ...event } = makeEvent(seed, index)
    event.data['padding'] = 'x'.repeat(largeValueBytes)
    return carry(random, event, Buffer.from(JSON.stringify(event)))
  })
  const bytes = new RecordBatchEncoder().encode(records, codec)
  return { name: `large, ${codec}`, records, bytes, unpackedBytes: largeRecords * largeValueBytes }
}
