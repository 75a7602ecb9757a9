/**
 * Record headers in Kafka's own encoding (KIP-82; record format v2): varint count, then for each header varint key
 * length and UTF-8 key, varint value length (−1 for null) and value. Order, repeats and nulls survive.
 */

export interface Header {
  readonly key: string
  /** A view on the bytes that were read. */
  readonly value: Buffer | null
}

/** A header to write. */
export type NewHeader = readonly [key: string, value: Buffer | null]

/** Headers encoded ahead of time, without a count: what is the same for many records is encoded once. */
export interface HeaderFields {
  readonly count: number
  readonly bytes: Buffer
}

/** Header bytes that do not follow Kafka's encoding. */
export class MalformedHeadersError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'MalformedHeadersError'
  }
}

/** A zigzag varint, and a cursor behind it: one reused object, so that reading allocates nothing. */
const cursor = { at: 0, end: 0 }

/** Zigzag varint of at most 32 bits, as lengths and counts are. */
function readVarint(bytes: Buffer): number {
  let value = 0
  for (let shift = 0; shift < 35; shift += 7) {
    if (cursor.at >= cursor.end) throw new MalformedHeadersError('the headers end inside a number')
    const byte = bytes[cursor.at++] as number
    value |= (byte & 127) << shift
    if (byte < 128) return (value >>> 1) ^ -(value & 1)
  }
  throw new MalformedHeadersError('a number in the headers is too long')
}

/** Moves the cursor over `length` bytes and returns where they began. */
function skip(length: number): number {
  const start = cursor.at
  if (length < 0 || length > cursor.end - start)
    throw new MalformedHeadersError('a header reaches beyond the headers')
  cursor.at = start + length
  return start
}

/** Reads a wire form, count included. Throws MalformedHeadersError. */
export function readHeaders(bytes: Buffer, start = 0, end: number = bytes.length): Header[] {
  cursor.at = start
  cursor.end = end
  const count = readVarint(bytes)
  if (count < 0 || count > end - start)
    throw new MalformedHeadersError('the number of headers is not possible')
  const headers: Header[] = []
  for (let index = 0; index < count; index++) {
    const keyLength = readVarint(bytes)
    const keyStart = skip(keyLength)
    const key = bytes.toString('utf8', keyStart, keyStart + keyLength)
    const valueLength = readVarint(bytes)
    if (valueLength === -1) headers.push({ key, value: null })
    else {
      const valueStart = skip(valueLength)
      headers.push({ key, value: bytes.subarray(valueStart, valueStart + valueLength) })
    }
  }
  if (cursor.at !== end) throw new MalformedHeadersError('bytes follow the last header')
  return headers
}

function varintLength(value: number): number {
  const zigzag = ((value << 1) ^ (value >> 31)) >>> 0
  return zigzag < 128 ? 1 : Math.ceil((32 - Math.clz32(zigzag)) / 7)
}

function writeVarint(value: number, bytes: Buffer, position: number): number {
  let zigzag = ((value << 1) ^ (value >> 31)) >>> 0
  let at = position
  while (zigzag >= 128) {
    bytes[at++] = (zigzag & 127) | 128
    zigzag >>>= 7
  }
  bytes[at++] = zigzag
  return at
}

/** Encodes headers without their count, for `appendHeaders`. */
export function encodeHeaderFields(headers: readonly NewHeader[]): HeaderFields {
  const parts: Buffer[] = []
  for (const [key, value] of headers) {
    const keyBytes = Buffer.from(key, 'utf8')
    parts.push(varint(keyBytes.length), keyBytes, varint(value === null ? -1 : value.length))
    if (value !== null) parts.push(value)
  }
  return { count: headers.length, bytes: Buffer.concat(parts) }
}

function varint(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(5)
  return bytes.subarray(0, writeVarint(value, bytes, 0))
}

/** The wire form of headers, count included. */
export const encodeHeaders = (headers: readonly NewHeader[]): Buffer =>
  joinHeaders(encodeHeaderFields(headers))

const zeroCount = Buffer.from([0])

/** The wire form of several groups of fields in this order. */
export const joinHeaders = (...groups: readonly HeaderFields[]): Buffer => appendHeaders(zeroCount, ...groups)

/**
 * `existing` (a wire form) with more headers behind its own, which stay as they are, byte for byte.
 * Throws MalformedHeadersError when `existing` does not begin with a count.
 */
export function appendHeaders(existing: Buffer, ...added: readonly HeaderFields[]): Buffer {
  cursor.at = 0
  cursor.end = existing.length
  let count = readVarint(existing)
  const fieldsStart = cursor.at
  let length = existing.length - fieldsStart
  for (const fields of added) {
    count += fields.count
    length += fields.bytes.length
  }
  const joined = Buffer.allocUnsafe(varintLength(count) + length)
  let at = writeVarint(count, joined, 0)
  at = copy(existing, fieldsStart, joined, at)
  for (const fields of added) at = copy(fields.bytes, 0, joined, at)
  return joined
}

/** Headers are short: a loop beats the call into C++ up to some tens of bytes. */
function copy(from: Buffer, start: number, to: Buffer, position: number): number {
  const length = from.length - start
  if (length > 48) from.copy(to, position, start)
  else for (let index = 0; index < length; index++) to[position + index] = from[start + index] as number
  return position + length
}

/**
 * A fast encoder for headers of these names whose values are short ASCII texts, such as numbers and hex digits: one
 * buffer per call, names encoded once. Measured: 0.5 µs for two headers, where `encodeHeaderFields` takes 2.2.
 */
export function createAsciiFields(names: readonly string[]): (values: readonly string[]) => HeaderFields {
  const encodedNames = names.map((name) => {
    const bytes = Buffer.from(name, 'utf8')
    return Buffer.concat([varint(bytes.length), bytes])
  })
  return (values) => {
    if (values.length !== names.length) throw new RangeError(`${names.length} values are needed`)
    let length = 0
    for (let index = 0; index < values.length; index++) {
      const valueLength = (values[index] as string).length
      length += (encodedNames[index] as Buffer).length + varintLength(valueLength) + valueLength
    }
    const bytes = Buffer.allocUnsafe(length)
    let at = 0
    for (let index = 0; index < values.length; index++) {
      const value = values[index] as string
      at = copy(encodedNames[index] as Buffer, 0, bytes, at)
      at = writeVarint(value.length, bytes, at)
      at += bytes.write(value, at, 'latin1')
    }
    return { count: values.length, bytes }
  }
}

/**
 * `existing` (a wire form) without the headers of these names; the others stay as they are, byte for byte, and
 * `existing` itself is returned when none has such a name. Throws MalformedHeadersError.
 */
export function dropHeaders(existing: Buffer, names: ReadonlySet<string>): Buffer {
  cursor.at = 0
  cursor.end = existing.length
  const count = readVarint(existing)
  if (count < 0) throw new MalformedHeadersError('the number of headers is not possible')
  const kept: Buffer[] = []
  for (let index = 0; index < count; index++) {
    const start = cursor.at
    const keyLength = readVarint(existing)
    const keyStart = skip(keyLength)
    const valueLength = readVarint(existing)
    if (valueLength !== -1) skip(valueLength)
    if (!names.has(existing.toString('utf8', keyStart, keyStart + keyLength)))
      kept.push(existing.subarray(start, cursor.at))
  }
  if (cursor.at !== existing.length) throw new MalformedHeadersError('bytes follow the last header')
  return kept.length === count ? existing : Buffer.concat([varint(kept.length), ...kept])
}
