import type { SourceRecords } from '../domain/model.ts'
import { isSmall, putInt64, wordsOf } from './int64-words.ts'

/** What records inherit from their batch. */
export interface RecordContext {
  readonly baseOffset: number
  readonly lastOffsetDelta: number
  readonly baseTimestamp: bigint
  /** With LogAppendTime every record has this timestamp; null: their own. */
  readonly appendTime: bigint | null
  /** Records below are read past: they were not asked for. */
  readonly fromOffset: number
}

/** Room for `capacity` records over one buffer. */
export class RecordsBuilder {
  readonly capacity: number
  count = 0
  readonly offsets: BigInt64Array
  readonly offsetWords: Int32Array
  readonly timestamps: BigInt64Array
  readonly timestampWords: Int32Array
  readonly places: Int32Array

  constructor(capacity: number) {
    const longs = new ArrayBuffer(16 * capacity)
    this.capacity = capacity
    this.offsets = new BigInt64Array(longs, 0, capacity)
    this.timestamps = new BigInt64Array(longs, 8 * capacity, capacity)
    this.offsetWords = wordsOf(this.offsets)
    this.timestampWords = wordsOf(this.timestamps)
    this.places = new Int32Array(6 * capacity)
  }

  /** The records so far; the builder must not be used afterwards. */
  finish(bytes: Buffer): SourceRecords {
    const { capacity, count, places } = this
    const column = (index: number) => places.subarray(index * capacity, index * capacity + count)
    return {
      bytes,
      count,
      offsets: this.offsets.subarray(0, count),
      timestamps: this.timestamps.subarray(0, count),
      keyStarts: column(0),
      keyEnds: column(1),
      valueStarts: column(2),
      valueEnds: column(3),
      headerStarts: column(4),
      headerEnds: column(5),
    }
  }
}

/**
 * Reads the records of one batch (magic 2) out of its unpacked bytes, in as many goes as the caller likes. Every length is
 * checked against the record's own; offsets must rise within what the header says.
 */
export class RecordReader {
  /** What is wrong with the records, null as long as nothing is. */
  problem: string | null = null
  readonly #bytes: Buffer
  readonly #end: number
  readonly #context: RecordContext
  readonly #baseTimestamp: number
  readonly #smallBase: boolean
  #remaining: number
  #at: number
  #lastDelta = -1
  /** A timestamp delta that was too long for a number, else null. */
  #longDelta: bigint | null = null

  constructor(bytes: Buffer, start: number, end: number, count: number, context: RecordContext) {
    this.#bytes = bytes
    this.#at = start
    this.#end = end
    this.#remaining = count
    this.#context = context
    this.#baseTimestamp = Number(context.baseTimestamp)
    this.#smallBase = isSmall(Number(context.baseTimestamp >> 32n))
    if (count < 0) this.problem = `a batch of ${count} records`
  }

  /** Reads into `into` until it is full; true when all records were read, or a problem was found. */
  read(into: RecordsBuilder): boolean {
    while (this.#remaining > 0) {
      if (into.count === into.capacity) return false
      if (!this.#readOne(into)) {
        this.problem ??= `the record after offset ${this.#context.baseOffset + this.#lastDelta} is malformed`
        return true
      }
      this.#remaining--
    }
    if (this.problem === null && this.#at !== this.#end) this.problem = 'bytes are left after the last record'
    return true
  }

  #readOne(into: RecordsBuilder): boolean {
    const length = this.#varint()
    const end = this.#at + length
    if (length < 0 || end > this.#end) return false
    this.#at++ // attributes: none are defined
    const timestampDelta = this.#varlong()
    const delta = this.#varint()
    if (delta <= this.#lastDelta || delta > this.#context.lastOffsetDelta) return false
    const keyLength = this.#varint()
    const keyStart = this.#at
    if (keyLength > 0) this.#at += keyLength
    const valueLength = this.#varint()
    const valueStart = this.#at
    if (valueLength > 0) this.#at += valueLength
    const headersStart = this.#at
    if (headersStart >= end || !this.#skipHeaders(end)) return false
    this.#lastDelta = delta
    const offset = this.#context.baseOffset + delta
    if (offset < this.#context.fromOffset) return true
    const { capacity, count, places } = into
    putInt64(into.offsetWords, count, offset)
    this.#putTimestamp(into, timestampDelta)
    places[count] = keyLength < 0 ? -1 : keyStart
    places[capacity + count] = keyLength < 0 ? -1 : keyStart + keyLength
    places[2 * capacity + count] = valueLength < 0 ? -1 : valueStart
    places[3 * capacity + count] = valueLength < 0 ? -1 : valueStart + valueLength
    places[4 * capacity + count] = headersStart
    places[5 * capacity + count] = end
    into.count = count + 1
    return true
  }

  /** Leaves the position at `end`, or says that the headers don't end there. */
  #skipHeaders(end: number): boolean {
    for (let count = this.#varint(); count !== 0; count--) {
      if (count < 0 || this.#at >= end) return false
      const nameLength = this.#varint()
      if (nameLength < 0) return false
      this.#at += nameLength
      if (this.#at >= end) return false
      const valueLength = this.#varint()
      if (valueLength > 0) this.#at += valueLength
    }
    return this.#at === end
  }

  #putTimestamp(into: RecordsBuilder, delta: number): void {
    const { appendTime, baseTimestamp } = this.#context
    if (appendTime !== null) {
      into.timestamps[into.count] = appendTime
    } else if (this.#longDelta === null && this.#smallBase) {
      putInt64(into.timestampWords, into.count, this.#baseTimestamp + delta)
    } else {
      const exact = this.#longDelta ?? BigInt(delta)
      into.timestamps[into.count] = BigInt.asIntN(64, baseTimestamp + exact)
    }
  }

  /** Zigzag int32. Past the end it reads zeros; the caller then finds itself outside the record. */
  #varint(): number {
    const bytes = this.#bytes
    let byte = bytes[this.#at++] ?? 0
    if (byte < 128) return (byte >>> 1) ^ -(byte & 1)
    let value = byte & 127
    for (let shift = 7; shift < 35; shift += 7) {
      byte = bytes[this.#at++] ?? 0
      value |= (byte & 127) << shift
      if (byte < 128) return (value >>> 1) ^ -(value & 1)
    }
    this.problem = 'a number of more than five bytes'
    return -1
  }

  /** Zigzag int64, as a number when it has at most seven bytes, else in `#longDelta`. */
  #varlong(): number {
    const bytes = this.#bytes
    const start = this.#at
    this.#longDelta = null
    let value = 0
    for (let factor = 1, size = 0; size < 7; size++, factor *= 128) {
      const byte = bytes[this.#at++] ?? 0
      value += (byte & 127) * factor
      if (byte < 128) return value % 2 === 0 ? value / 2 : -(value + 1) / 2
    }
    this.#at = start
    this.#longDelta = this.#bigVarlong()
    return 0
  }

  #bigVarlong(): bigint {
    let value = 0n
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.#bytes[this.#at++] ?? 0
      value |= BigInt(byte & 127) << shift
      if (byte < 128) {
        const bits = BigInt.asUintN(64, value)
        return BigInt.asIntN(64, (bits >> 1n) ^ -(bits & 1n))
      }
    }
    this.problem = 'a number of more than ten bytes'
    return 0n
  }
}
