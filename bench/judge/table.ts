import type { RecordDigest } from './digest.ts'

const columns = ['timestamp', 'key', 'headers', 'value'] as const
export type Part = (typeof columns)[number]

/** The records of one source partition in offset order: digests, and which of them a replay must produce. */
export class RecordTable {
  size = 0
  #offsets = new Float64Array(1024)
  #accepted = new Uint8Array(1024)
  #digests = new BigInt64Array(1024 * columns.length)

  /** Offsets must ascend; holes are fine. Returns the row. */
  add(offset: number, digest: RecordDigest, accepted: boolean): number {
    const row = this.size
    if (row > 0 && offset <= (this.#offsets[row - 1] ?? -1))
      throw new Error(`offset ${offset} comes after ${this.#offsets[row - 1]}`)
    if (row === this.#offsets.length) this.#grow()
    this.#offsets[row] = offset
    this.#accepted[row] = accepted ? 1 : 0
    columns.forEach((part, column) => {
      this.#digests[row * columns.length + column] = digest[part]
    })
    this.size++
    return row
  }

  /** The row of an offset, or −1. */
  find(offset: number): number {
    let [low, high] = [0, this.size - 1]
    while (low <= high) {
      const middle = (low + high) >>> 1
      const found = this.#offsets[middle] ?? 0
      if (found === offset) return middle
      if (found < offset) low = middle + 1
      else high = middle - 1
    }
    return -1
  }

  offsetAt(row: number): number {
    return this.#offsets[row] ?? -1
  }

  isAccepted(row: number): boolean {
    return this.#accepted[row] === 1
  }

  /** The parts in which a record is not what this row says. */
  differences(row: number, digest: RecordDigest): Part[] {
    return columns.filter((part, column) => this.#digests[row * columns.length + column] !== digest[part])
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
    this.#accepted = grown(new Uint8Array(capacity), this.#accepted)
    this.#digests = grown(new BigInt64Array(capacity * columns.length), this.#digests)
  }
}
