import type { Hash } from '../domain/model.ts'
import type { EventPage } from '../ports.ts'
import { type DirectBuffer, direct } from './bufferMethods.ts'
import { HIGH, halvesOf, LOW } from './int8.ts'

/** What the builder reads, in this order; key, headers and value last, so that one copy takes them all. */
export const PAGE_COLUMNS =
  '"offset", leaf_index, kafka_timestamp, content_hash, leaf_hash, key, headers, value'

const LENGTH_BYTES = 4

const int32At = (bytes: Buffer, at: number): number =>
  ((bytes[at] as number) << 24) |
  ((bytes[at + 1] as number) << 16) |
  ((bytes[at + 2] as number) << 8) |
  (bytes[at + 3] as number)

/** Collects rows of PAGE_COLUMNS in binary COPY format as parallel arrays over one buffer. */
export class PageBuilder {
  readonly leaves: Hash[] = []
  readonly contentHashes: Hash[] = []
  #count = 0
  #at = 0
  #bytes: DirectBuffer
  readonly #offsets: BigInt64Array
  readonly #timestamps: BigInt64Array
  readonly #leafIndexes: BigInt64Array
  readonly #offsetHalves: Int32Array
  readonly #timestampHalves: Int32Array
  readonly #leafIndexHalves: Int32Array
  readonly #keyStarts: Int32Array
  readonly #keyEnds: Int32Array
  readonly #valueStarts: Int32Array
  readonly #valueEnds: Int32Array
  readonly #headerStarts: Int32Array
  readonly #headerEnds: Int32Array

  /** `maxRows` is a promise of the query; `bytes` an estimate. */
  constructor(maxRows: number, bytes: number) {
    this.#bytes = direct(Buffer.allocUnsafeSlow(Math.max(bytes, 1_024)))
    this.#offsets = new BigInt64Array(maxRows)
    this.#timestamps = new BigInt64Array(maxRows)
    this.#leafIndexes = new BigInt64Array(maxRows)
    this.#offsetHalves = halvesOf(this.#offsets)
    this.#timestampHalves = halvesOf(this.#timestamps)
    this.#leafIndexHalves = halvesOf(this.#leafIndexes)
    this.#keyStarts = new Int32Array(maxRows)
    this.#keyEnds = new Int32Array(maxRows)
    this.#valueStarts = new Int32Array(maxRows)
    this.#valueEnds = new Int32Array(maxRows)
    this.#headerStarts = new Int32Array(maxRows)
    this.#headerEnds = new Int32Array(maxRows)
  }

  get count(): number {
    return this.#count
  }

  /** Offset of the last row. */
  get lastOffset(): bigint | undefined {
    return this.#offsets[this.#count - 1]
  }

  /** A RowReader. Throws RangeError on more rows than promised. */
  readonly read = (row: Buffer, start: number): void => {
    const i = this.#count
    if (i === this.#offsets.length) throw new RangeError('the query returned more rows than it may')
    this.#offsetHalves[2 * i + HIGH] = int32At(row, start + 4)
    this.#offsetHalves[2 * i + LOW] = int32At(row, start + 8)
    this.#leafIndexHalves[2 * i + HIGH] = int32At(row, start + 16)
    this.#leafIndexHalves[2 * i + LOW] = int32At(row, start + 20)
    this.#timestampHalves[2 * i + HIGH] = int32At(row, start + 28)
    this.#timestampHalves[2 * i + LOW] = int32At(row, start + 32)
    const source = direct(row)
    let at = start + 36
    let length = int32At(row, at)
    at += LENGTH_BYTES
    this.contentHashes.push(source.latin1Slice(at, at + length) as Hash)
    at += length
    length = int32At(row, at)
    at += LENGTH_BYTES
    this.leaves.push(source.latin1Slice(at, at + length) as Hash)
    this.#take(row, at + length, i)
    this.#count = i + 1
  }

  /** Copies key, headers and value with their lengths between them, and notes where they lie. */
  #take(row: Buffer, from: number, i: number): void {
    const size = row.length - from
    if (this.#at + size > this.#bytes.length) this.#grow(size)
    row.copy(this.#bytes, this.#at, from, row.length)
    let at = this.#at + LENGTH_BYTES
    let length = int32At(row, from)
    this.#keyStarts[i] = length < 0 ? -1 : at
    if (length > 0) at += length
    this.#keyEnds[i] = length < 0 ? -1 : at
    length = int32At(this.#bytes, at)
    at += LENGTH_BYTES
    this.#headerStarts[i] = at
    at += length
    this.#headerEnds[i] = at
    length = int32At(this.#bytes, at)
    at += LENGTH_BYTES
    this.#valueStarts[i] = at
    this.#valueEnds[i] = at + length
    this.#at += size
  }

  #grow(room: number): void {
    const bytes = direct(Buffer.allocUnsafeSlow(Math.max(this.#bytes.length * 2, this.#at + room)))
    this.#bytes.copy(bytes, 0, 0, this.#at)
    this.#bytes = bytes
  }

  page(): Pick<EventPage, 'records' | 'leaves' | 'contentHashes' | 'leafIndexes'> {
    const count = this.#count
    return {
      records: {
        bytes: this.#bytes.subarray(0, this.#at),
        count,
        offsets: this.#offsets.subarray(0, count),
        timestamps: this.#timestamps.subarray(0, count),
        keyStarts: this.#keyStarts.subarray(0, count),
        keyEnds: this.#keyEnds.subarray(0, count),
        valueStarts: this.#valueStarts.subarray(0, count),
        valueEnds: this.#valueEnds.subarray(0, count),
        headerStarts: this.#headerStarts.subarray(0, count),
        headerEnds: this.#headerEnds.subarray(0, count),
      },
      leaves: this.leaves,
      contentHashes: this.contentHashes,
      leafIndexes: this.#leafIndexes.subarray(0, count),
    }
  }
}
