import type { SourceRecords } from '../../src/domain/model.ts'

export interface PlainRecord {
  readonly offset: bigint
  readonly timestamp: bigint
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: readonly (readonly [string, Buffer | null])[]
}

export const record = (offset: bigint, given: Partial<PlainRecord> = {}): PlainRecord => ({
  offset,
  timestamp: 1_760_000_000_000n + offset,
  key: Buffer.from(`k${offset}`),
  value: Buffer.from(`value ${offset}`),
  headers: [],
  ...given,
})

function varint(value: number): Buffer {
  const bytes: number[] = []
  let rest = value >= 0 ? value * 2 : -value * 2 - 1
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128)
  bytes.push(rest)
  return Buffer.from(bytes)
}

const field = (bytes: Buffer | null): Buffer =>
  bytes === null ? varint(-1) : Buffer.concat([varint(bytes.length), bytes])

/** Headers in Kafka's own record encoding. */
export const wireHeaders = (headers: PlainRecord['headers']): Buffer =>
  Buffer.concat([
    varint(headers.length),
    ...headers.flatMap(([name, value]) => [field(Buffer.from(name)), field(value)]),
  ])

export function sourceRecords(records: readonly PlainRecord[]): SourceRecords {
  const parts: Buffer[] = []
  let at = 0
  const put = (bytes: Buffer | null): [number, number] => {
    if (bytes === null) return [-1, -1]
    parts.push(bytes)
    at += bytes.length
    return [at - bytes.length, at]
  }
  const places = records.map(({ key, value, headers }) => ({
    key: put(key),
    value: put(value),
    headers: put(wireHeaders(headers)),
  }))
  const starts = (of: 'key' | 'value' | 'headers') => Int32Array.from(places.map((place) => place[of][0]))
  const ends = (of: 'key' | 'value' | 'headers') => Int32Array.from(places.map((place) => place[of][1]))
  return {
    bytes: Buffer.concat(parts),
    count: records.length,
    offsets: BigInt64Array.from(records.map(({ offset }) => offset)),
    timestamps: BigInt64Array.from(records.map(({ timestamp }) => timestamp)),
    keyStarts: starts('key'),
    keyEnds: ends('key'),
    valueStarts: starts('value'),
    valueEnds: ends('value'),
    headerStarts: starts('headers'),
    headerEnds: ends('headers'),
  }
}

const slice = (bytes: Buffer, start: number | undefined, end: number | undefined): Buffer | null =>
  start === undefined || start < 0 ? null : Buffer.from(bytes.subarray(start, end))

/** The records again, headers in wire form. */
export function plainRecords(records: SourceRecords) {
  return Array.from({ length: records.count }, (_, i) => ({
    offset: records.offsets[i],
    timestamp: records.timestamps[i],
    key: slice(records.bytes, records.keyStarts[i], records.keyEnds[i]),
    value: slice(records.bytes, records.valueStarts[i], records.valueEnds[i]),
    headers: slice(records.bytes, records.headerStarts[i], records.headerEnds[i]),
  }))
}
