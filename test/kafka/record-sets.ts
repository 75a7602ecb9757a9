import { crc32c } from '@node-rs/crc32'
import { RecordBatchEncoder } from '../../src/kafka/record-batch-encoder.ts'
import { batchOverhead, field } from '../../src/kafka/record-batch-layout.ts'
import { type FetchedSet, openSourceBatch } from '../../src/kafka/source-batch.ts'
import type { SourcePart } from '../../src/ports.ts'
import { type PlainRecord, plainRecords, sourceRecords } from './records.ts'

const encoder = new RecordBatchEncoder()

export interface BatchOptions {
  readonly baseOffset?: number
  /** Defaults to the records' number less one. */
  readonly lastOffsetDelta?: number
  readonly attributes?: number
  readonly producerId?: bigint
  readonly maxTimestamp?: bigint
  readonly leaderEpoch?: number
  readonly count?: number
  /** Replaces the records' bytes. */
  readonly payload?: Buffer
}

/** A record batch as a broker would store it, CRC right. */
export function storedBatch(records: readonly PlainRecord[], options: BatchOptions = {}): Buffer {
  const page = { records: sourceRecords(records), selected: null, headersOf: null }
  const limits = { maxBytes: 2 ** 30, maxCount: records.length }
  const owner = {
    producerId: options.producerId ?? -1n,
    producerEpoch: 0,
    firstSequence: 0,
    transactional: false,
  }
  const encoded =
    records.length === 0 ? Buffer.alloc(batchOverhead) : encoder.encode(page, 0, limits, owner).bytes
  const payload = options.payload ?? encoded.subarray(batchOverhead)
  const batch = Buffer.concat([encoded.subarray(0, batchOverhead), payload])
  batch[field.magic] = 2
  batch.writeBigInt64BE(BigInt(options.baseOffset ?? 0), field.baseOffset)
  batch.writeInt32BE(batch.length - field.partitionLeaderEpoch, field.length)
  batch.writeInt32BE(options.leaderEpoch ?? 0, field.partitionLeaderEpoch)
  batch.writeInt16BE(options.attributes ?? 0, field.attributes)
  batch.writeInt32BE(options.lastOffsetDelta ?? Math.max(0, records.length - 1), field.lastOffsetDelta)
  batch.writeBigInt64BE(options.producerId ?? -1n, field.producerId)
  batch.writeInt32BE(options.count ?? records.length, field.count)
  if (options.maxTimestamp !== undefined) batch.writeBigInt64BE(options.maxTimestamp, field.maxTimestamp)
  batch.writeUInt32BE(crc32c(batch.subarray(field.attributes)), field.crc)
  return batch
}

export const fetched = (recordSet: Buffer, given: Partial<FetchedSet> = {}): FetchedSet => ({
  topic: 't',
  partition: 0,
  fetchedOffset: '0',
  highWatermark: '1000',
  recordSet,
  abortedTransactions: [],
  ...given,
})

export async function partsOf(set: FetchedSet): Promise<SourcePart[]> {
  const parts: SourcePart[] = []
  for await (const part of openSourceBatch(set).parts()) parts.push(part)
  return parts
}

/** All records of the parts; undecodable batches are left out. */
export const recordsIn = (parts: readonly SourcePart[]) =>
  parts.flatMap((part) => (part.kind === 'records' ? plainRecords(part.records) : []))

export const undecodableIn = (parts: readonly SourcePart[]) =>
  parts.flatMap((part) => (part.kind === 'undecodable' ? [part.batch] : []))
