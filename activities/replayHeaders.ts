/** Headers of replayed records: the stored ones as they are, and where the record comes from. */

import { hashToHex } from '../src/domain/hash.ts'
import {
  appendHeaders,
  createAsciiFields,
  dropHeaders,
  encodeHeaderFields,
  type HeaderFields,
} from '../src/domain/headers.ts'
import type { EventPage } from '../src/ports.ts'

export const replayHeaderNames = {
  id: 'replay-id',
  topic: 'replay-source-topic',
  partition: 'replay-source-partition',
  offset: 'replay-source-offset',
  hash: 'replay-event-hash',
} as const

const addedNames: ReadonlySet<string> = new Set(Object.values(replayHeaderNames))
const shortestAddedName = replayHeaderNames.id.length
const firstLetter = replayHeaderNames.id.charCodeAt(0)
/** Counts and lengths up to here are one byte: twice the number (a zigzag varint). */
const LARGEST_SHORT = 63
const OFFSET_DIGITS = 19
const HASH_DIGITS = 64

const recordFields = createAsciiFields([replayHeaderNames.offset, replayHeaderNames.hash])
const offsetPrefix = encodedName(replayHeaderNames.offset)
/** With the length of the value: 64 takes two bytes. */
const hashPrefix = Buffer.concat([encodedName(replayHeaderNames.hash), Buffer.from([0x80, 0x01])])
const hexDigits = Buffer.from('0123456789abcdef', 'latin1')

function encodedName(name: string): Buffer {
  return Buffer.concat([Buffer.from([name.length << 1]), Buffer.from(name, 'latin1')])
}

export interface ReplayOrigin {
  readonly replayId: string
  readonly topic: string
  readonly partition: number
}

/**
 * Headers of the records of a page in Kafka's encoding: what was stored, byte for byte, less those that have one of
 * the added names, and the added ones behind. All are written into one buffer; a record whose headers are many or long
 * takes a slower way.
 */
export function replayHeaders(origin: ReplayOrigin): (page: EventPage) => (index: number) => Buffer {
  const fixed = fixedFields(origin)
  const most = mostAdded(fixed)
  return (page) => {
    const { records } = page
    let room = 0
    for (let index = 0; index < records.count; index++)
      room += most + (records.headerEnds[index] as number) - (records.headerStarts[index] as number)
    let bytes = Buffer.allocUnsafeSlow(room)
    let end = 0
    return (index) => {
      const start = records.headerStarts[index] as number
      const storedEnd = records.headerEnds[index] as number
      if (mustReadHeaders(records.bytes, start, storedEnd)) return headersOfRecord(page, index, fixed)
      // A record that did not fit its batch is asked for once more.
      if (end + most + storedEnd - start > bytes.length) {
        bytes = Buffer.allocUnsafeSlow(room)
        end = 0
      }
      const begin = end
      bytes[end++] = (records.bytes[start] as number) + (addedNames.size << 1)
      end = copy(records.bytes, start + 1, storedEnd, bytes, end)
      end += fixed.bytes.copy(bytes, end)
      end = writeOffset(String(records.offsets[index]), bytes, end)
      end = writeHash(contentHashOf(page, index), bytes, end)
      return bytes.subarray(begin, end)
    }
  }
}

/** The same for one record, whatever its headers are. Throws MalformedHeadersError. */
function headersOfRecord(page: EventPage, index: number, fixed: HeaderFields): Buffer {
  const { records } = page
  const stored = records.bytes.subarray(records.headerStarts[index], records.headerEnds[index])
  const own = recordFields([String(records.offsets[index]), hashToHex(contentHashOf(page, index))])
  return appendHeaders(dropHeaders(stored, addedNames), fixed, own)
}

function contentHashOf(page: EventPage, index: number) {
  const hash = page.contentHashes[index]
  if (hash === undefined) throw new RangeError(`no content hash for record ${index}`)
  return hash
}

/** False when all counts and lengths are one byte and no name can be an added one: then nothing needs to be decoded. */
function mustReadHeaders(bytes: Buffer, start: number, end: number): boolean {
  const count = bytes[start] as number
  if ((count & 1) === 1 || count >> 1 > LARGEST_SHORT - addedNames.size) return true
  for (let at = start + 1; at < end; ) {
    const name = bytes[at++] as number
    if (name > LARGEST_SHORT << 1 || (name & 1) === 1) return true
    if (name >> 1 >= shortestAddedName && bytes[at] === firstLetter) return true
    at += name >> 1
    const value = bytes[at++] as number
    if (value > LARGEST_SHORT << 1) return true
    // One stands for a null value.
    if (value !== 1) at += value >> 1
  }
  return false
}

function copy(from: Buffer, start: number, end: number, to: Buffer, position: number): number {
  if (end - start > 48) return position + from.copy(to, position, start, end)
  let at = position
  for (let index = start; index < end; index++) to[at++] = from[index] as number
  return at
}

function writeOffset(digits: string, bytes: Buffer, position: number): number {
  let at = copy(offsetPrefix, 0, offsetPrefix.length, bytes, position)
  bytes[at++] = digits.length << 1
  for (let index = 0; index < digits.length; index++) bytes[at++] = digits.charCodeAt(index)
  return at
}

/** 64 hex digits. */
function writeHash(hash: string, bytes: Buffer, position: number): number {
  let at = copy(hashPrefix, 0, hashPrefix.length, bytes, position)
  for (let index = 0; index < hash.length; index++) {
    const byte = hash.charCodeAt(index)
    bytes[at++] = hexDigits[byte >> 4] as number
    bytes[at++] = hexDigits[byte & 15] as number
  }
  return at
}

/** The most that these headers add to a record. */
export const addedHeaderBytes = (origin: ReplayOrigin): number => mostAdded(fixedFields(origin))

function mostAdded(fixed: HeaderFields): number {
  const own = recordFields(['9'.repeat(OFFSET_DIGITS), '0'.repeat(HASH_DIGITS)])
  // The count can grow by some bytes.
  return fixed.bytes.length + own.bytes.length + 4
}

const fixedFields = ({ replayId, topic, partition }: ReplayOrigin): HeaderFields =>
  encodeHeaderFields([
    [replayHeaderNames.id, Buffer.from(replayId, 'utf8')],
    [replayHeaderNames.topic, Buffer.from(topic, 'utf8')],
    [replayHeaderNames.partition, Buffer.from(String(partition), 'utf8')],
  ])
