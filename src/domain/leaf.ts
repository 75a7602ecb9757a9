/**
 * The leaf of a source record: SHA-256(0x00 ‖ record) over the fixed layout of docs/evidence.md. A leaf depends on
 * nothing but what Kafka holds, so the same topic gives the same root, whenever and by whatever version it is read.
 */
import { HASH_BYTES, sha256, writeHash } from './hash.ts'
import type { Hash, Offset, SourceRecords, UndecodableBatch } from './model.ts'

/** Version of the layout, in every leaf. */
export const LEAF_VERSION = 1
/**
 * A record batch that unpacks to more than this has one leaf of its own instead of one per record. Part of the
 * specification, not a setting: another limit would give another root for the same topic.
 */
export const MAX_UNPACKED_BATCH_BYTES = 64 * 1024 * 1024

const LEAF_PREFIX = 0x00
const leafKinds = { record: 1, gap: 2, undecodable: 3 } as const

/** Bytes around key and headers of a record: prefix, version, kind, offset, timestamp, three lengths, value hash. */
const RECORD_FIXED_BYTES = 3 + 8 + 8 + 4 + 4 + 4 + HASH_BYTES
/** Up to here a view on the scratch buffer is kept per length, since making one costs as much as copying the bytes. */
const MAX_KEPT_VIEW_BYTES = 4_096
/** A scratch buffer that one huge key or header made larger than this is given back afterwards. */
const MAX_KEPT_SCRATCH_BYTES = 1 << 20

let scratch: Buffer
let scratchNumbers: DataView
let scratchViews: (Buffer | undefined)[]
growScratch(64 * 1024)

function growScratch(bytes: number): void {
  scratch = Buffer.alloc(bytes)
  scratchNumbers = new DataView(scratch.buffer, scratch.byteOffset, scratch.length)
  scratchViews = []
}

function begin(kind: number, bytes: number): void {
  if (bytes > scratch.length) growScratch(bytes)
  scratch[0] = LEAF_PREFIX
  scratch[1] = LEAF_VERSION
  scratch[2] = kind
}

function finish(length: number): Hash {
  if (length > MAX_KEPT_VIEW_BYTES) {
    const leaf = sha256(scratch.subarray(0, length))
    if (scratch.length > MAX_KEPT_SCRATCH_BYTES) growScratch(64 * 1024)
    return leaf
  }
  let view = scratchViews[length]
  if (view === undefined) {
    view = scratch.subarray(0, length)
    scratchViews[length] = view
  }
  return sha256(view)
}

/** Leaf of the record `index`. Throws RangeError when there is no such record. */
export function recordLeaf(records: SourceRecords, index: number): Hash {
  if (index < 0 || index >= records.count) throw new RangeError(`no record ${index} in ${records.count}`)
  const { bytes } = records
  const keyStart = records.keyStarts[index] as number
  const keyLength = keyStart < 0 ? -1 : (records.keyEnds[index] as number) - keyStart
  const headerStart = records.headerStarts[index] as number
  const headerLength = (records.headerEnds[index] as number) - headerStart
  const valueStart = records.valueStarts[index] as number

  begin(leafKinds.record, RECORD_FIXED_BYTES + Math.max(keyLength, 0) + headerLength)
  scratchNumbers.setBigInt64(3, records.offsets[index] as bigint)
  scratchNumbers.setBigInt64(11, records.timestamps[index] as bigint)
  scratchNumbers.setInt32(19, keyLength)
  let at = 23
  if (keyLength > 0) at = put(bytes, keyStart, keyLength, at)
  scratchNumbers.setInt32(at, headerLength)
  at = put(bytes, headerStart, headerLength, at + 4)
  if (valueStart < 0) {
    scratchNumbers.setInt32(at, -1)
    return finish(at + 4)
  }
  const valueLength = (records.valueEnds[index] as number) - valueStart
  scratchNumbers.setInt32(at, valueLength)
  const value = new Uint8Array(bytes.buffer, bytes.byteOffset + valueStart, valueLength)
  return finish(writeHash(sha256(value), scratch, at + 4))
}

/** Keys and headers are short: below some tens of bytes a loop beats the call into C++. */
function put(bytes: Buffer, start: number, length: number, at: number): number {
  if (length > 48) scratch.set(bytes.subarray(start, start + length), at)
  else for (let index = 0; index < length; index++) scratch[at + index] = bytes[start + index] as number
  return at + length
}

/** Leaf of the source offsets [from, to) that Kafka no longer had. */
export function gapLeaf(from: Offset, to: Offset): Hash {
  if (from >= to) throw new RangeError('a gap holds at least one offset')
  begin(leafKinds.gap, 19)
  scratchNumbers.setBigInt64(3, from)
  scratchNumbers.setBigInt64(11, to)
  return finish(19)
}

/** Leaf of a record batch that could not be opened within the limits. */
export function undecodableLeaf(batch: UndecodableBatch): Hash {
  begin(leafKinds.undecodable, 31 + HASH_BYTES)
  scratchNumbers.setBigInt64(3, batch.firstOffset)
  scratchNumbers.setBigInt64(11, batch.lastOffset)
  scratchNumbers.setBigInt64(19, batch.timestamp)
  scratchNumbers.setInt32(27, batch.bytes.length)
  return finish(writeHash(sha256(batch.bytes), scratch, 31))
}
