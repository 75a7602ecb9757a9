/** A producer's provenance judged on scanned nodes. Part of the fast path; in doubt the schema decides. */
import { MAX_POLICY_TAGS, MAX_TRANSFORMATIONS } from './eventSchema.ts'
import {
  columnTextOf,
  hexValue,
  isArray,
  isNamed,
  isNumber,
  isObject,
  isText,
  nameLength,
  requiredTextOf,
} from './fastFields.ts'
import { HASH_BYTES } from './hash.ts'
import { firstChild, nextNode, valueEnd, valueStart } from './jsonScan.ts'
import { type Classification, classifications, type Hash } from './model.ts'

const ascii = (text: string): Buffer => Buffer.from(text, 'latin1')

const names = {
  hash: ascii('hash'),
  source: ascii('source'),
  userId: ascii('userId'),
  signature: ascii('signature'),
  operation: ascii('operation'),
  timestamp: ascii('timestamp'),
  policyTags: ascii('policyTags'),
  ingestionTime: ascii('ingestionTime'),
  classification: ascii('classification'),
  transformations: ascii('transformations'),
}
const hashPrefix = 'sha256:'
const hexDigits = 2 * HASH_BYTES

const noTags: readonly string[] = Object.freeze([])

/** What the last `readProvenance` found, or the defaults after `assumeNoProvenance`. */
export const policy = {
  classification: 'UNCLASSIFIED' as Classification,
  policyTags: noTags,
  /** Where the producer's own hash begins, 64 hex digits; −1 without one. */
  hashStart: -1,
}

export function assumeNoProvenance(): void {
  policy.classification = 'UNCLASSIFIED'
  policy.policyTags = noTags
  policy.hashStart = -1
}

/** True when the schema would take this provenance; `policy` then holds what counts of it. */
export function readProvenance(bytes: Buffer, provenance: number): boolean {
  assumeNoProvenance()
  if (!isObject(bytes, provenance)) return false
  for (let node = firstChild[provenance] as number; node >= 0; node = nextNode[node] as number) {
    if (!readMember(bytes, node)) return false
  }
  return true
}

function readMember(bytes: Buffer, node: number): boolean {
  switch (nameLength(node)) {
    case 4:
      return !isNamed(bytes, node, names.hash) || readHash(bytes, node)
    case 6:
      return !isNamed(bytes, node, names.source) || isText(bytes, node)
    case 9:
      return !isNamed(bytes, node, names.signature) || isText(bytes, node)
    case 10:
      return !isNamed(bytes, node, names.policyTags) || readTags(bytes, node)
    case 13:
      return !isNamed(bytes, node, names.ingestionTime) || isNumber(bytes, node)
    case 14:
      return !isNamed(bytes, node, names.classification) || readClassification(bytes, node)
    case 15:
      return !isNamed(bytes, node, names.transformations) || areTransformations(bytes, node)
    default:
      return true
  }
}

function readHash(bytes: Buffer, node: number): boolean {
  if (!isText(bytes, node)) return false
  let from = (valueStart[node] as number) + 1
  const to = (valueEnd[node] as number) - 1
  if (to - from === hashPrefix.length + hexDigits) {
    for (let index = 0; index < hashPrefix.length; index++) {
      if (bytes[from + index] !== hashPrefix.charCodeAt(index)) return false
    }
    from += hashPrefix.length
  }
  if (to - from !== hexDigits) return false
  for (let at = from; at < to; at++) {
    if (hexValue[bytes[at] as number] === 255) return false
  }
  policy.hashStart = from
  return true
}

function readTags(bytes: Buffer, node: number): boolean {
  if (!isArray(bytes, node)) return false
  const tags: string[] = []
  for (let item = firstChild[node] as number; item >= 0; item = nextNode[item] as number) {
    const tag = requiredTextOf(bytes, item)
    if (tag === null || tags.length === MAX_POLICY_TAGS) return false
    tags.push(tag)
  }
  policy.policyTags = tags.length > 1 ? [...new Set(tags)].sort() : tags
  return true
}

function readClassification(bytes: Buffer, node: number): boolean {
  const text = columnTextOf(bytes, node)
  const known = classifications.find((classification) => classification === text)
  if (known === undefined) return false
  policy.classification = known
  return true
}

function areTransformations(bytes: Buffer, node: number): boolean {
  if (!isArray(bytes, node)) return false
  let count = 0
  for (let item = firstChild[node] as number; item >= 0; item = nextNode[item] as number) {
    if (++count > MAX_TRANSFORMATIONS || !isTransformation(bytes, item)) return false
  }
  return true
}

function isTransformation(bytes: Buffer, item: number): boolean {
  if (!isObject(bytes, item)) return false
  let hasOperation = false
  let hasTimestamp = false
  for (let node = firstChild[item] as number; node >= 0; node = nextNode[node] as number) {
    if (isNamed(bytes, node, names.operation)) {
      if (!isText(bytes, node)) return false
      hasOperation = true
    } else if (isNamed(bytes, node, names.timestamp)) {
      if (!isNumber(bytes, node)) return false
      hasTimestamp = true
    } else if (isNamed(bytes, node, names.userId) && !isText(bytes, node)) return false
  }
  return hasOperation && hasTimestamp
}

/** Whether the producer's hash, when there is one, is the content's. */
export function isClaimedHash(bytes: Buffer, contentHash: Hash): boolean {
  if (policy.hashStart < 0) return true
  for (let index = 0; index < HASH_BYTES; index++) {
    const high = hexValue[bytes[policy.hashStart + 2 * index] as number] as number
    const low = hexValue[bytes[policy.hashStart + 2 * index + 1] as number] as number
    if (((high << 4) | low) !== contentHash.charCodeAt(index)) return false
  }
  return true
}
