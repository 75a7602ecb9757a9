import { crc32c } from '@node-rs/crc32'
import type { SourceRecords } from '../domain/model.ts'
import type { ProducePage } from '../ports.ts'
import { int64Number, isSmall, wordsOf } from './int64-words.ts'
import { batchOverhead, field, transactionalFlag } from './record-batch-layout.ts'

export interface BatchOwner {
  readonly producerId: bigint
  readonly producerEpoch: number
  readonly firstSequence: number
  readonly transactional: boolean
}

export interface EncodedBatch {
  /** Valid until the next call of `encode`. */
  readonly bytes: Buffer
  readonly count: number
}

const smallCopy = 32

/**
 * Encodes records of a page into Kafka record batches (magic 2, CreateTime, uncompressed) in one pass into one reusable
 * buffer. Keys, values and headers are copied as they are, timestamps kept exactly, −1 and 0 included.
 */
export class RecordBatchEncoder {
  #bytes = Buffer.allocUnsafeSlow(64 * 1024)

  /**
   * One batch from the records `from`, `from` + 1, … of the page's selection: as many as fit into `maxBytes`, overhead
   * included, and into `maxCount`, but at least one.
   */
  encode(page: ProducePage, from: number, limits: { maxBytes: number; maxCount: number }, owner: BatchOwner) {
    const { records, selected } = page
    const total = Math.min(selected === null ? records.count : selected.length, from + limits.maxCount)
    const times = new TimestampDeltas(records, at(selected, from))
    let end = batchOverhead
    let position = from
    for (; position < total; position++) {
      const index = at(selected, position)
      const headers = page.headersOf?.(index) ?? null
      const size = bodySize(records, index, position - from, headers, times.size(index))
      const next = end + varintSize(size) + size
      if (next > limits.maxBytes && position > from) break
      this.#reserve(next)
      end = this.#write(records, index, position - from, headers, size, end, times)
    }
    return this.#finish(end, position - from, times, owner)
  }

  #reserve(length: number): void {
    if (length <= this.#bytes.length) return
    const bytes = Buffer.allocUnsafeSlow(2 ** Math.ceil(Math.log2(length)))
    this.#bytes.copy(bytes)
    this.#bytes = bytes
  }

  #write(
    records: SourceRecords,
    index: number,
    delta: number,
    headers: Buffer | null,
    size: number,
    start: number,
    times: TimestampDeltas,
  ): number {
    const bytes = this.#bytes
    let p = putVarint(bytes, start, size)
    bytes[p++] = 0
    p = times.put(bytes, p, index)
    p = putVarint(bytes, p, delta)
    p = putField(bytes, p, records.bytes, records.keyStarts[index] ?? -1, records.keyEnds[index] ?? 0)
    p = putField(bytes, p, records.bytes, records.valueStarts[index] ?? -1, records.valueEnds[index] ?? 0)
    if (headers !== null) return p + headers.copy(bytes, p)
    return copy(bytes, p, records.bytes, records.headerStarts[index] ?? 0, records.headerEnds[index] ?? 0)
  }

  #finish(end: number, count: number, times: TimestampDeltas, owner: BatchOwner): EncodedBatch {
    const bytes = this.#bytes
    bytes.writeBigInt64BE(0n, field.baseOffset)
    bytes.writeInt32BE(end - field.partitionLeaderEpoch, field.length)
    bytes.writeInt32BE(-1, field.partitionLeaderEpoch)
    bytes[field.magic] = 2
    bytes.writeInt16BE(owner.transactional ? transactionalFlag : 0, field.attributes)
    bytes.writeInt32BE(count - 1, field.lastOffsetDelta)
    bytes.writeBigInt64BE(times.base, field.baseTimestamp)
    bytes.writeBigInt64BE(times.max, field.maxTimestamp)
    bytes.writeBigInt64BE(owner.producerId, field.producerId)
    bytes.writeInt16BE(owner.producerEpoch, field.producerEpoch)
    bytes.writeInt32BE(owner.firstSequence, field.baseSequence)
    bytes.writeInt32BE(count, field.count)
    bytes.writeUInt32BE(crc32c(bytes.subarray(field.attributes, end)), field.crc)
    return { bytes: bytes.subarray(0, end), count }
  }
}

/** The timestamps of a batch as Kafka stores them: a base, the largest, and a delta for each record. */
class TimestampDeltas {
  readonly base: bigint
  readonly #values: BigInt64Array
  readonly #words: Int32Array
  readonly #baseNumber: number
  readonly #baseSmall: boolean
  #maxIndex: number

  constructor(records: SourceRecords, first: number) {
    this.#values = records.timestamps
    this.#words = wordsOf(records.timestamps)
    this.#maxIndex = first
    this.base = records.timestamps[first] ?? -1n
    this.#baseSmall = isSmall(this.#words[2 * first + 1] ?? 0)
    this.#baseNumber = Number(this.base)
  }

  get max(): bigint {
    return this.#values[this.#maxIndex] ?? -1n
  }

  /** NaN when the delta is too large for an exact number. */
  #delta(index: number): number {
    const high = this.#words[2 * index + 1] ?? 0
    if (!this.#baseSmall || !isSmall(high)) return Number.NaN
    return int64Number(high, this.#words[2 * index] ?? 0) - this.#baseNumber
  }

  size(index: number): number {
    const delta = this.#delta(index)
    return Number.isNaN(delta) ? bigVarintSize(this.#bigDelta(index)) : varintSize(delta)
  }

  put(bytes: Buffer, p: number, index: number): number {
    if (this.#isLarger(index)) this.#maxIndex = index
    const delta = this.#delta(index)
    return Number.isNaN(delta) ? putBigVarint(bytes, p, this.#bigDelta(index)) : putVarint(bytes, p, delta)
  }

  #isLarger(index: number): boolean {
    const high = this.#words[2 * index + 1] ?? 0
    const maxHigh = this.#words[2 * this.#maxIndex + 1] ?? 0
    if (high !== maxHigh) return high > maxHigh
    return (this.#words[2 * index] ?? 0) >>> 0 > (this.#words[2 * this.#maxIndex] ?? 0) >>> 0
  }

  #bigDelta(index: number): bigint {
    return BigInt.asIntN(64, (this.#values[index] ?? 0n) - this.base)
  }
}

const at = (selected: Int32Array | null, position: number): number =>
  selected === null ? position : (selected[position] ?? 0)

function bodySize(
  records: SourceRecords,
  index: number,
  delta: number,
  headers: Buffer | null,
  timestampSize: number,
): number {
  const headerSize =
    headers === null ? (records.headerEnds[index] ?? 0) - (records.headerStarts[index] ?? 0) : headers.length
  const key = fieldSize(records.keyStarts[index] ?? -1, records.keyEnds[index] ?? 0)
  const value = fieldSize(records.valueStarts[index] ?? -1, records.valueEnds[index] ?? 0)
  return 1 + timestampSize + varintSize(delta) + key + value + headerSize
}

function fieldSize(start: number, end: number): number {
  if (start < 0) return 1
  return varintSize(end - start) + end - start
}

function putField(target: Buffer, p: number, source: Buffer, start: number, end: number): number {
  if (start < 0) return putVarint(target, p, -1)
  return copy(target, putVarint(target, p, end - start), source, start, end)
}

function copy(target: Buffer, p: number, source: Buffer, start: number, end: number): number {
  // Below some tens of bytes a loop is faster than the call into native code.
  if (end - start > smallCopy) return p + source.copy(target, p, start, end)
  let to = p
  for (let from = start; from < end; from++) target[to++] = source[from] ?? 0
  return to
}

/** Zigzag varint of an exact integer below 2^52 in size. */
function varintSize(value: number): number {
  let rest = value >= 0 ? value * 2 : -value * 2 - 1
  let size = 1
  while (rest >= 128) {
    rest = Math.floor(rest / 128)
    size++
  }
  return size
}

function putVarint(bytes: Buffer, start: number, value: number): number {
  let p = start
  let rest = value >= 0 ? value * 2 : -value * 2 - 1
  while (rest >= 128) {
    bytes[p++] = (rest % 128) | 128
    rest = Math.floor(rest / 128)
  }
  bytes[p++] = rest
  return p
}

const zigzag = (value: bigint): bigint => BigInt.asUintN(64, (value << 1n) ^ (value >> 63n))

function bigVarintSize(value: bigint): number {
  let size = 1
  for (let rest = zigzag(value); rest >= 128n; rest >>= 7n) size++
  return size
}

function putBigVarint(bytes: Buffer, start: number, value: bigint): number {
  let p = start
  let rest = zigzag(value)
  for (; rest >= 128n; rest >>= 7n) bytes[p++] = Number(rest & 127n) | 128
  bytes[p++] = Number(rest)
  return p
}
