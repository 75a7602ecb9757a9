/**
 * The faster way to an accepted event: one scan over the bytes instead of JSON.parse, zod and canonicalize. It says
 * nothing but "accepted" or "unsure"; in doubt the schema decides (decode.ts), so it may be incomplete but never
 * wrong. Property tests and a fuzzer hold it to zod's verdict and to the same content hash.
 */
import { isUtf8 } from 'node:buffer'
import {
  columnTextOf,
  isNamed,
  isObject,
  isText,
  lastUuid,
  nameLength,
  requiredTextOf,
  timestampOf,
  uuidOf,
} from './fastFields.ts'
import { assumeNoProvenance, isClaimedHash, policy, readProvenance } from './fastProvenance.ts'
import { sha256 } from './hash.ts'
import { EMIT_BYTES, emitAscii, emitBytes, emitSpan, emitted, emitValue, startEmit } from './jsonEmit.ts'
import {
  firstChild,
  nextNode,
  numberGrowth,
  sawNonAscii,
  scannedHead,
  scanObjectText,
  valueEnd,
  valueStart,
} from './jsonScan.ts'
import type { AcceptedEvent } from './model.ts'

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

/** What stands around the members in the canonical envelope (eventSchema.ts). */
const around = {
  classification: ascii('{"classification":"'),
  data: ascii('","data":'),
  id: ascii(',"id":"'),
  metadata: ascii('","metadata":'),
  policyTags: ascii(',"policyTags":['),
  tag: ascii('"'),
  nextTag: ascii('","'),
  source: ascii('],"source":'),
  timestamp: ascii(',"timestamp":'),
  type: ascii(',"type":'),
  end: ascii(',"v":1}'),
}
/** More than all of it and a classification together; everything else comes from the value itself. */
const ENVELOPE_BYTES = 256

/** The node of each member of the envelope; −1 when there is none. */
const envelope = { id: -1, type: -1, source: -1, timestamp: -1, data: -1, metadata: -1, provenance: -1 }

/** The event in `[start, end)`, or null when only the schema can tell. Never throws. */
export function decodeFast(
  bytes: Buffer,
  start: number,
  end: number,
  maxDepth: number,
): AcceptedEvent | null {
  if (!scanObjectText(bytes, start, end, maxDepth)) return null
  if (end - start + numberGrowth + ENVELOPE_BYTES > EMIT_BYTES) return null
  if (sawNonAscii && !isUtf8(bytes.subarray(start, end))) return null
  if (!findEnvelope(bytes)) return null

  const id = uuidOf(bytes, envelope.id)
  if (id === null) return null
  const type = requiredTextOf(bytes, envelope.type)
  if (type === null) return null
  const source = requiredTextOf(bytes, envelope.source)
  if (source === null) return null
  const timestampMs = timestampOf(bytes, envelope.timestamp)
  if (timestampMs < 0) return null
  const tenantId = checkMetadata(bytes, envelope.metadata)
  if (tenantId === undefined) return null
  if (envelope.provenance < 0) assumeNoProvenance()
  else if (!readProvenance(bytes, envelope.provenance)) return null

  emitEnvelope(bytes)
  const contentHash = sha256(emitted())
  if (!isClaimedHash(bytes, contentHash)) return null
  const { classification, policyTags } = policy
  return { kind: 'event', id, type, source, tenantId, timestampMs, classification, policyTags, contentHash }
}

/** Finds the members by name; false when one is missing or data is no object. */
function findEnvelope(bytes: Buffer): boolean {
  let id = -1
  let type = -1
  let source = -1
  let timestamp = -1
  let data = -1
  let metadata = -1
  let provenance = -1
  for (let node = scannedHead; node >= 0; node = nextNode[node] as number) {
    switch (nameLength(node)) {
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
        if (isNamed(bytes, node, names.provenance)) provenance = node
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
  envelope.provenance = provenance
  return isObject(bytes, data)
}

/** The tenant or null, or undefined when only the schema can judge the metadata. */
function checkMetadata(bytes: Buffer, metadata: number): string | null | undefined {
  if (!isObject(bytes, metadata)) return undefined
  let hasVersion = false
  let tenantId: string | null = null
  for (let node = firstChild[metadata] as number; node >= 0; node = nextNode[node] as number) {
    switch (nameLength(node)) {
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

function emitEnvelope(bytes: Buffer): void {
  startEmit()
  emitBytes(around.classification)
  emitAscii(policy.classification)
  emitBytes(around.data)
  emitValue(bytes, envelope.data)
  emitBytes(around.id)
  emitBytes(lastUuid)
  emitBytes(around.metadata)
  emitValue(bytes, envelope.metadata)
  emitBytes(around.policyTags)
  emitTags(policy.policyTags)
  emitBytes(around.source)
  emitPrimitive(bytes, envelope.source)
  emitBytes(around.timestamp)
  emitPrimitive(bytes, envelope.timestamp)
  emitBytes(around.type)
  emitPrimitive(bytes, envelope.type)
  emitBytes(around.end)
}

const emitPrimitive = (bytes: Buffer, node: number): void =>
  emitSpan(bytes, valueStart[node] as number, valueEnd[node] as number)

function emitTags(tags: readonly string[]): void {
  for (let index = 0; index < tags.length; index++) {
    emitBytes(index === 0 ? around.tag : around.nextTag)
    // Printable ASCII without quote and backslash: `plainTextAt` takes nothing else.
    emitAscii(tags[index] as string)
  }
  if (tags.length > 0) emitBytes(around.tag)
}
