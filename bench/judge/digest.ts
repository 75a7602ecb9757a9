import { hash } from 'node:crypto'
import type { Headers } from '../source/event.ts'

/** What two records are compared by: timestamp, and the first eight bytes of a SHA-256 of each part. */
export interface RecordDigest {
  /** ms since the epoch. */
  readonly timestamp: bigint
  readonly key: bigint
  readonly headers: bigint
  readonly value: bigint
}

interface Digestible {
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: Headers
  readonly timestamp: number | bigint
}

/** Headers that a replay adds; they are no part of what must be equal. */
export const replayHeaders: ReadonlySet<string> = new Set([
  'replay-id',
  'replay-source-topic',
  'replay-source-partition',
  'replay-source-offset',
  'replay-event-hash',
])

/** The same layout as in Reader.java: nothing about it is shared with the platform. */
export function digestRecord(record: Digestible): RecordDigest {
  let headers = headerDigests.get(record.headers)
  if (headers === undefined) {
    headers = digestHeaders(record.headers)
    headerDigests.set(record.headers, headers)
  }
  return {
    timestamp: BigInt(record.timestamp),
    key: digestField(record.key),
    headers,
    value: digestField(record.value),
  }
}

/** Most records share their headers with others. */
const headerDigests = new WeakMap<Headers, bigint>()
const nullDigest = 0n

/** Null is not the same as empty. */
const digestField = (bytes: Buffer | null): bigint => (bytes === null ? nullDigest : digest(bytes))

/** Order, repeats, nulls and the exact names count. */
function digestHeaders(headers: Headers): bigint {
  const parts: Buffer[] = []
  for (const [name, value] of headers) {
    if (replayHeaders.has(name)) continue
    const nameBytes = Buffer.from(name)
    parts.push(length(nameBytes.length), nameBytes, length(value === null ? -1 : value.length))
    if (value !== null) parts.push(value)
  }
  return digest(Buffer.concat(parts))
}

function length(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4)
  bytes.writeInt32BE(value)
  return bytes
}

const scratch = Buffer.allocUnsafe(8)

/** As a string and back: making a Buffer for each hash costs three times as much. */
function digest(bytes: Buffer): bigint {
  scratch.write(hash('sha256', bytes, 'binary'), 0, 8, 'latin1')
  return scratch.readBigInt64BE(0)
}

/** What a reader reports of a text in a header. */
export const digestText = (text: string): bigint => digest(Buffer.from(text))

/** Of the last header of this name; 0 where there is none. */
export function textDigest(headers: Headers, name: string): bigint {
  const value = headers.findLast((header) => header[0] === name)?.[1] ?? null
  return digestField(value)
}

/** The last header of this name as a decimal number; −1 where there is none. */
export function numberHeader(headers: Headers, name: string): number {
  const value = headers.findLast((header) => header[0] === name)?.[1]?.toString() ?? ''
  return /^\d{1,15}$/.test(value) ? Number(value) : -1
}
