/** Source records laid out in one buffer as a fetched batch has them. */
import type { SourceRecords } from '../../src/domain/model.ts'

export interface PlainRecord {
  readonly offset: bigint
  readonly timestamp: bigint
  readonly key: Buffer | null
  /** Wire form, count included. */
  readonly headers: Buffer
  readonly value: Buffer | null
}

export function sourceRecords(plain: readonly PlainRecord[]): SourceRecords {
  const parts: Buffer[] = []
  let at = 0
  const put = (bytes: Buffer | null): [start: number, end: number] => {
    // A byte between the parts, so that a wrong border shows.
    parts.push(Buffer.from([0xee]), bytes ?? Buffer.alloc(0))
    at += 1
    const start = bytes === null ? -1 : at
    at += bytes?.length ?? 0
    return [start, bytes === null ? -1 : at]
  }
  const keys = plain.map((record) => put(record.key))
  const values = plain.map((record) => put(record.value))
  const headers = plain.map((record) => put(record.headers))
  const starts = (spans: [number, number][]) => Int32Array.from(spans, ([start]) => start)
  const ends = (spans: [number, number][]) => Int32Array.from(spans, ([, end]) => end)
  return {
    bytes: Buffer.concat(parts),
    count: plain.length,
    offsets: BigInt64Array.from(plain, (record) => record.offset),
    timestamps: BigInt64Array.from(plain, (record) => record.timestamp),
    keyStarts: starts(keys),
    keyEnds: ends(keys),
    valueStarts: starts(values),
    valueEnds: ends(values),
    headerStarts: starts(headers),
    headerEnds: ends(headers),
  }
}
