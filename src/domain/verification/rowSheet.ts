/** What verification needs to know of the rows of a log, row by row in parallel arrays: no object per row. */
import type { Hash } from '../model.ts'

/** `unproven`: a dead letter whose code depends on settings or on the database of its time. */
export const rowKinds = { event: 0, deadLetter: 1, gap: 2, unproven: 3 } as const
export type RowKind = (typeof rowKinds)[keyof typeof rowKinds]

export interface SheetRow {
  readonly kind: RowKind
  readonly offset: bigint
  /** First offset behind the row. */
  readonly end: bigint
  readonly leafIndex: bigint
  readonly ingestedMs: number
  /** Key, value and header bytes. */
  readonly bytes: number
  readonly computed: Hash
  readonly stored: Hash
  /** Columns that do not follow from the bytes, with commas; null when all do. */
  readonly difference: string | null
  /** Where in time the row was read: an index that only its reader understands. */
  readonly span: number
}

/** Rows in the order in which they were read. Grows as needed; consumed rows are dropped from the front. */
export class RowSheet {
  count = 0
  kinds: Uint8Array
  offsets: BigInt64Array
  ends: BigInt64Array
  leafIndexes: BigInt64Array
  ingestedMs: Float64Array
  bytes: Float64Array
  spans: Int32Array
  computed: Hash[] = []
  stored: Hash[] = []
  differences: (string | null)[] = []

  constructor(capacity: number) {
    this.kinds = new Uint8Array(capacity)
    this.offsets = new BigInt64Array(capacity)
    this.ends = new BigInt64Array(capacity)
    this.leafIndexes = new BigInt64Array(capacity)
    this.ingestedMs = new Float64Array(capacity)
    this.bytes = new Float64Array(capacity)
    this.spans = new Int32Array(capacity)
  }

  add(row: SheetRow): void {
    if (this.count === this.kinds.length) this.#grow()
    const i = this.count++
    this.kinds[i] = row.kind
    this.offsets[i] = row.offset
    this.ends[i] = row.end
    this.leafIndexes[i] = row.leafIndex
    this.ingestedMs[i] = row.ingestedMs
    this.bytes[i] = row.bytes
    this.spans[i] = row.span
    this.computed[i] = row.computed
    this.stored[i] = row.stored
    this.differences[i] = row.difference
  }

  /** Copies a row of another sheet. */
  take(from: RowSheet, row: number): void {
    if (this.count === this.kinds.length) this.#grow()
    const i = this.count++
    this.kinds[i] = from.kinds[row] as number
    this.offsets[i] = from.offsets[row] as bigint
    this.ends[i] = from.ends[row] as bigint
    this.leafIndexes[i] = from.leafIndexes[row] as bigint
    this.ingestedMs[i] = from.ingestedMs[row] as number
    this.bytes[i] = from.bytes[row] as number
    this.spans[i] = from.spans[row] as number
    this.computed[i] = from.computed[row] as Hash
    this.stored[i] = from.stored[row] as Hash
    this.differences[i] = from.differences[row] ?? null
  }

  clear(): void {
    this.count = 0
  }

  /** Forgets the first `rows` rows. */
  drop(rows: number): void {
    if (rows === 0) return
    const left = this.count - rows
    for (const column of [
      this.kinds,
      this.offsets,
      this.ends,
      this.leafIndexes,
      this.ingestedMs,
      this.bytes,
      this.spans,
    ])
      column.copyWithin(0, rows, this.count)
    this.computed = this.computed.slice(rows, this.count)
    this.stored = this.stored.slice(rows, this.count)
    this.differences = this.differences.slice(rows, this.count)
    this.count = left
  }

  #grow(): void {
    const capacity = Math.max(64, this.kinds.length * 2)
    this.kinds = enlarged(this.kinds, new Uint8Array(capacity))
    this.offsets = enlarged(this.offsets, new BigInt64Array(capacity))
    this.ends = enlarged(this.ends, new BigInt64Array(capacity))
    this.leafIndexes = enlarged(this.leafIndexes, new BigInt64Array(capacity))
    this.ingestedMs = enlarged(this.ingestedMs, new Float64Array(capacity))
    this.bytes = enlarged(this.bytes, new Float64Array(capacity))
    this.spans = enlarged(this.spans, new Int32Array(capacity))
  }
}

function enlarged<Column extends { set(from: Column): void }>(from: Column, to: Column): Column {
  to.set(from)
  return to
}
