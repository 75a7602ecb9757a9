import { type DeadLetterCode, deadLetterCodes } from '../../src/domain/model.ts'
import { digestText, type RecordDigest } from './digest.ts'

const columns = ['timestamp', 'key', 'headers', 'value'] as const
export type Part = (typeof columns)[number]

/** What must become of a record: an event, a dead letter of this code, or one of any code. */
export type ExpectedFate = 'accepted' | 'refused' | DeadLetterCode

const fates: readonly ExpectedFate[] = ['refused', 'accepted', ...deadLetterCodes]

/** The records of one source partition in offset order: digests, and what must become of each. */
export class RecordTable {
  size = 0
  #offsets = new Float64Array(1024)
  #fates = new Uint8Array(1024)
  #digests = new BigInt64Array(1024 * columns.length)
  /** Made when the first one is known. */
  #contentHashes: BigInt64Array | null = null

  /**
   * Offsets must ascend; holes are fine. `contentHash`: of the event, as 64 hex digits, where somebody cares. Returns
   * the row.
   */
  add(offset: number, digest: RecordDigest, fate: boolean | ExpectedFate, contentHash?: string): number {
    const row = this.size
    if (row > 0 && offset <= (this.#offsets[row - 1] ?? -1))
      throw new Error(`offset ${offset} comes after ${this.#offsets[row - 1]}`)
    if (row === this.#offsets.length) this.#grow()
    this.#offsets[row] = offset
    this.#fates[row] = fates.indexOf(typeof fate === 'string' ? fate : fate ? 'accepted' : 'refused')
    columns.forEach((part, column) => {
      this.#digests[row * columns.length + column] = digest[part]
    })
    if (contentHash !== undefined) {
      this.#contentHashes ??= new BigInt64Array(this.#offsets.length)
      this.#contentHashes[row] = digestText(contentHash)
    }
    this.size++
    return row
  }

  /** The row of an offset, or −1. */
  find(offset: number): number {
    const row = this.firstFrom(offset)
    return row < this.size && this.#offsets[row] === offset ? row : -1
  }

  /** The first row with this offset or a larger one; `size` when there is none. */
  firstFrom(offset: number): number {
    let [low, high] = [0, this.size]
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#offsets[middle] ?? 0) < offset) low = middle + 1
      else high = middle
    }
    return low
  }

  offsetAt(row: number): number {
    return row < this.size ? (this.#offsets[row] ?? -1) : -1
  }

  isAccepted(row: number): boolean {
    return this.fateAt(row) === 'accepted'
  }

  fateAt(row: number): ExpectedFate {
    return fates[this.#fates[row] ?? 0] ?? 'refused'
  }

  /** Rows whose record must become an event. */
  get accepted(): number {
    let count = 0
    for (let row = 0; row < this.size; row++) if (this.isAccepted(row)) count++
    return count
  }

  /** The parts in which a record is not what this row says. */
  differences(row: number, digest: RecordDigest): Part[] {
    return columns.filter((part, column) => this.#digests[row * columns.length + column] !== digest[part])
  }

  /** As digestText; null where none was given. */
  contentHashAt(row: number): bigint | null {
    return this.#contentHashes?.[row] || null
  }

  digestAt(row: number): RecordDigest {
    const at = (column: number): bigint => this.#digests[row * columns.length + column] ?? 0n
    return { timestamp: at(0), key: at(1), headers: at(2), value: at(3) }
  }

  #grow(): void {
    const capacity = this.#offsets.length * 2
    const grown = <T extends { set(from: T): void }>(to: T, from: T): T => {
      to.set(from)
      return to
    }
    this.#offsets = grown(new Float64Array(capacity), this.#offsets)
    this.#fates = grown(new Uint8Array(capacity), this.#fates)
    if (this.#contentHashes !== null)
      this.#contentHashes = grown(new BigInt64Array(capacity), this.#contentHashes)
    this.#digests = grown(new BigInt64Array(capacity * columns.length), this.#digests)
  }
}
