import { crc32c } from '@node-rs/crc32'
import { KafkaFault } from './faults.ts'
import { batchOverhead, codecMask, controlFlag, field, transactionalFlag } from './record-batch-layout.ts'

/** One record batch of a fetched record set: where it lies and what its header says. */
export interface RecordBatchHeader {
  readonly start: number
  readonly end: number
  /** 2, or 0 and 1 of the message sets before Kafka 0.11, which are not read. */
  readonly magic: number
  readonly baseOffset: number
  readonly lastOffset: number
  readonly leaderEpoch: number
  readonly attributes: number
  readonly baseTimestamp: bigint
  readonly maxTimestamp: bigint
  readonly producerId: bigint
  readonly count: number
}

export const codecOf = ({ attributes }: RecordBatchHeader): number => attributes & codecMask
export const isControl = ({ attributes }: RecordBatchHeader): boolean => (attributes & controlFlag) !== 0
export const isTransactional = ({ attributes }: RecordBatchHeader): boolean =>
  (attributes & transactionalFlag) !== 0

/** Offset, size, CRC and magic of a message set's entry: all that is read of formats 0 and 1. */
const oldOverhead = 12
const oldTimestampAt = 18

/**
 * The whole record batches of a record set, in order. An incomplete one at the end is left out, as every client does: it is
 * where the fetch's size limit cut. Throws KafkaFault CORRUPT_MESSAGE when a CRC or a length is wrong: what was stored is
 * not what arrived, so it is fetched again and nothing of it is believed.
 */
export function readBatchHeaders(set: Buffer): RecordBatchHeader[] {
  const headers: RecordBatchHeader[] = []
  for (let start = 0; start + field.magic < set.length; ) {
    const length = set.readInt32BE(start + field.length)
    const end = start + oldOverhead + length
    if (end > set.length) break
    const magic = set.readInt8(start + field.magic)
    if (magic > 2 || end <= start + field.magic) throw corrupt(`magic ${magic}, length ${length}`)
    headers.push(magic === 2 ? readHeader(set, start, end) : readOldHeader(set, start, end, magic))
    start = end
  }
  return headers
}

function readHeader(set: Buffer, start: number, end: number): RecordBatchHeader {
  if (end - start < batchOverhead) throw corrupt(`length ${end - start}`)
  const crc = set.readUInt32BE(start + field.crc)
  const baseOffset = offsetAt(set, start)
  if (crc32c(set.subarray(start + field.attributes, end)) !== crc)
    throw corrupt(`CRC at offset ${baseOffset}`)
  return {
    start,
    end,
    magic: 2,
    baseOffset,
    lastOffset: baseOffset + set.readInt32BE(start + field.lastOffsetDelta),
    leaderEpoch: set.readInt32BE(start + field.partitionLeaderEpoch),
    attributes: set.readInt16BE(start + field.attributes),
    baseTimestamp: set.readBigInt64BE(start + field.baseTimestamp),
    maxTimestamp: set.readBigInt64BE(start + field.maxTimestamp),
    producerId: set.readBigInt64BE(start + field.producerId),
    count: set.readInt32BE(start + field.count),
  }
}

function readOldHeader(set: Buffer, start: number, end: number, magic: number): RecordBatchHeader {
  const offset = offsetAt(set, start)
  const hasTimestamp = magic === 1 && end - start >= oldTimestampAt + 8
  const timestamp = hasTimestamp ? set.readBigInt64BE(start + oldTimestampAt) : -1n
  return {
    start,
    end,
    magic,
    baseOffset: offset,
    lastOffset: offset,
    leaderEpoch: -1,
    attributes: 0,
    baseTimestamp: timestamp,
    maxTimestamp: timestamp,
    producerId: -1n,
    count: 0,
  }
}

function offsetAt(set: Buffer, start: number): number {
  const offset = Number(set.readBigInt64BE(start + field.baseOffset))
  if (!Number.isSafeInteger(offset) || offset < 0) throw corrupt('offset out of range')
  return offset
}

const corrupt = (what: string): KafkaFault =>
  new KafkaFault(`CORRUPT_MESSAGE: ${what}`, { kafkaCode: 2, passing: true })
