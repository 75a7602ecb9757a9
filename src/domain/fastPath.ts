/**
 * The faster way to an accepted event: one scan over the bytes instead of JSON.parse, zod and canonicalize. It says
 * nothing but "accepted" or "unsure"; in doubt the schema decides (decode.ts), so it may be incomplete but never
 * wrong. A property test and a fuzzer hold it to zod's verdict and to the same content hash.
 */
import { isUtf8 } from 'node:buffer'
import { MAX_COLUMN_LENGTH, MAX_TIMESTAMP_MS } from './eventSchema.ts'
import { sha256 } from './hash.ts'
import { EMIT_BYTES, emitBytes, emitSpan, emitted, emitValue, startEmit } from './jsonEmit.ts'
import {
  firstChild,
  nameEnd,
  nameStart,
  nextNode,
  numberGrowth,
  sawNonAscii,
  scannedHead,
  scanObjectText,
  valueEnd,
  valueStart,
} from './jsonScan.ts'
import type { AcceptedEvent } from './model.ts'
import { plainTextAt } from './textTable.ts'

const ascii = (text: string): Buffer => Buffer.from(text, 'latin1')

const names = {
  id: ascii('id'),
  type: ascii('type'),
  source: ascii('source'),
  timestamp: ascii('timestamp'),
  data: ascii('data'),
  metadata: ascii('metadata'),
  provenance: ascii('provenance'),
  version: ascii('version'),
  correlationId: ascii('correlationId'),
  causationId: ascii('causationId'),
  userId: ascii('userId'),
  tenantId: ascii('tenantId'),
}

/** What stands around the members in the canonical envelope of an event without provenance (eventSchema.ts). */
const around = {
  data: ascii('{"classification":"UNCLASSIFIED","data":'),
  id: ascii(',"id":"'),
  metadata: ascii('","metadata":'),
  source: ascii(',"policyTags":[],"source":'),
  timestamp: ascii(',"timestamp":'),
  type: ascii(',"type":'),
  end: ascii(',"v":1}'),
}
const AROUND_BYTES = Object.values(around).reduce((sum, bytes) => sum + bytes.length, 0)

const noTags: readonly string[] = Object.freeze([])
const UUID_LENGTH = 36
const MAX_TIMESTAMP_DIGITS = 15
const QUOTE = 0x22
const OPEN_BRACE = 0x7b

/** The node of each member of the envelope; −1 when there is none. */
const envelope = { id: -1, type: -1, source: -1, timestamp: -1, data: -1, metadata: -1 }
/** The id in lower case, as it is hashed. */
const idBytes = Buffer.alloc(UUID_LENGTH)

/** The event in `[start, end)`, or null when only the schema can tell. Never throws. */
export function decodeFast(
  bytes: Buffer,
  start: number,
  end: number,
  maxDepth: number,
): AcceptedEvent | null {
  if (!scanObjectText(bytes, start, end, maxDepth)) return null
  if (end - start + numberGrowth + AROUND_BYTES > EMIT_BYTES) return null
  if (sawNonAscii && !isUtf8(bytes.subarray(start, end))) return null
  if (!findEnvelope(bytes)) return null

  const id = uuidOf(bytes, envelope.id)
  if (id === null) return null
  const type = columnTextOf(bytes, envelope.type)
  if (type === null || type.length === 0) return null
  const source = columnTextOf(bytes, envelope.source)
  if (source === null || source.length === 0) return null
  const timestampMs = timestampOf(bytes, envelope.timestamp)
  if (timestampMs < 0) return null
  const tenantId = checkMetadata(bytes, envelope.metadata)
  if (tenantId === undefined) return null

  emitEnvelope(bytes)
  return {
    kind: 'event',
    id,
    type,
    source,
    tenantId,
    timestampMs,
    classification: 'UNCLASSIFIED',
    policyTags: noTags,
    contentHash: sha256(emitted()),
  }
}

function isNamed(bytes: Buffer, node: number, name: Buffer): boolean {
  const from = nameStart[node] as number
  if ((nameEnd[node] as number) - from !== name.length) return false
  for (let index = 0; index < name.length; index++) {
    if (bytes[from + index] !== name[index]) return false
  }
  return true
}

/** Finds the members by name; false when one is missing, or when there is provenance for the schema to judge. */
function findEnvelope(bytes: Buffer): boolean {
  let id = -1
  let type = -1
  let source = -1
  let timestamp = -1
  let data = -1
  let metadata = -1
  for (let node = scannedHead; node >= 0; node = nextNode[node] as number) {
    switch ((nameEnd[node] as number) - (nameStart[node] as number)) {
      case 2:
        if (isNamed(bytes, node, names.id)) id = node
        break
      case 4:
        if (isNamed(bytes, node, names.type)) type = node
        else if (isNamed(bytes, node, names.data)) data = node
        break
      case 6:
        if (isNamed(bytes, node, names.source)) source = node
        break
      case 8:
        if (isNamed(bytes, node, names.metadata)) metadata = node
        break
      case 9:
        if (isNamed(bytes, node, names.timestamp)) timestamp = node
        break
      case 10:
        if (isNamed(bytes, node, names.provenance)) return false
        break
    }
  }
  if ((id | type | source | timestamp | data | metadata) < 0) return false
  envelope.id = id
  envelope.type = type
  envelope.source = source
  envelope.timestamp = timestamp
  envelope.data = data
  envelope.metadata = metadata
  return bytes[valueStart[data] as number] === OPEN_BRACE
}

const isText = (bytes: Buffer, node: number): boolean => bytes[valueStart[node] as number] === QUOTE

/** Printable ASCII without escapes that fits a column; anything else is for the schema. */
function columnTextOf(bytes: Buffer, node: number): string | null {
  if (!isText(bytes, node)) return null
  const from = (valueStart[node] as number) + 1
  const to = (valueEnd[node] as number) - 1
  return to - from > MAX_COLUMN_LENGTH ? null : plainTextAt(bytes, from, to)
}

/** The tenant or null, or undefined when only the schema can judge the metadata. */
function checkMetadata(bytes: Buffer, metadata: number): string | null | undefined {
  if (bytes[valueStart[metadata] as number] !== OPEN_BRACE) return undefined
  let hasVersion = false
  let tenantId: string | null = null
  for (let node = firstChild[metadata] as number; node >= 0; node = nextNode[node] as number) {
    switch ((nameEnd[node] as number) - (nameStart[node] as number)) {
      case 6:
        if (isNamed(bytes, node, names.userId) && !isText(bytes, node)) return undefined
        break
      case 7:
        if (!isNamed(bytes, node, names.version)) break
        if (!isText(bytes, node)) return undefined
        hasVersion = true
        break
      case 8:
        if (!isNamed(bytes, node, names.tenantId)) break
        tenantId = columnTextOf(bytes, node)
        if (tenantId === null) return undefined
        break
      case 11:
        if (isNamed(bytes, node, names.causationId) && !isText(bytes, node)) return undefined
        break
      case 13:
        if (isNamed(bytes, node, names.correlationId) && !isText(bytes, node)) return undefined
        break
    }
  }
  return hasVersion ? tenantId : undefined
}

/** Plain digits only, so that the text is canonical too; −1 when there is anything else. */
function timestampOf(bytes: Buffer, node: number): number {
  const from = valueStart[node] as number
  const to = valueEnd[node] as number
  if (to - from > MAX_TIMESTAMP_DIGITS) return -1
  let value = 0
  for (let at = from; at < to; at++) {
    const digit = (bytes[at] as number) - 0x30
    if (digit < 0 || digit > 9) return -1
    value = value * 10 + digit
  }
  return value > MAX_TIMESTAMP_MS ? -1 : value
}

const DASH = 0x2d
const isHex = new Uint8Array(256)
for (const digit of '0123456789abcdefABCDEF') isHex[digit.charCodeAt(0)] = 1

/** RFC 9562 versions 1…8, as zod has it; the nil and the max UUID are left to the schema. */
function uuidOf(bytes: Buffer, node: number): string | null {
  const from = (valueStart[node] as number) + 1
  if (!isText(bytes, node) || (valueEnd[node] as number) - 1 - from !== UUID_LENGTH) return null
  for (let index = 0; index < UUID_LENGTH; index++) {
    const byte = bytes[from + index] as number
    if (index === 8 || index === 13 || index === 18 || index === 23) {
      if (byte !== DASH) return null
    } else if (isHex[byte] !== 1) return null
    // Lower case: of these characters only the letters A…F lack that bit.
    idBytes[index] = byte | 0x20
  }
  const version = idBytes[14] as number
  const variant = idBytes[19] as number
  if (version < 0x31 || version > 0x38) return null
  if (variant !== 0x38 && variant !== 0x39 && variant !== 0x61 && variant !== 0x62) return null
  return idBytes.toString('latin1')
}

function emitEnvelope(bytes: Buffer): void {
  startEmit()
  emitBytes(around.data)
  emitValue(bytes, envelope.data)
  emitBytes(around.id)
  emitBytes(idBytes)
  emitBytes(around.metadata)
  emitValue(bytes, envelope.metadata)
  emitBytes(around.source)
  emitSpan(bytes, valueStart[envelope.source] as number, valueEnd[envelope.source] as number)
  emitBytes(around.timestamp)
  emitSpan(bytes, valueStart[envelope.timestamp] as number, valueEnd[envelope.timestamp] as number)
  emitBytes(around.type)
  emitSpan(bytes, valueStart[envelope.type] as number, valueEnd[envelope.type] as number)
  emitBytes(around.end)
}
