/**
 * From the bytes of a source record to an event or a dead letter. zod (eventSchema.ts) says what is valid; everything
 * here that is faster must come to the same verdict.
 */
import { isUtf8 } from 'node:buffer'
import { CanonicalJsonError } from './canonicalJson.ts'
import { canonicalEvent, eventSchema, type Policy, policyOf, type SourceEvent } from './eventSchema.ts'
import { decodeFast } from './fastPath.ts'
import { hashToHex, sha256 } from './hash.ts'
import { findFlaw, isDeeperThan } from './jsonText.ts'
import type { AcceptedEvent, Decoded, Hash, Rejection } from './model.ts'
import { checkSignature, keysValidAt, type SourceSignatures } from './producerSignature.ts'
import { reject, showIssues, showSyntaxError } from './rejection.ts'

/** Arrays and objects open at once, the event itself included; deeper is TOO_DEEP. */
export const MAX_JSON_DEPTH = 64

export interface DecoderOptions {
  /** Larger values are TOO_LARGE. */
  readonly maxValueBytes: number
  /** At most and by default MAX_JSON_DEPTH. */
  readonly maxDepth?: number
  /** The byte-level path beside zod (fastPath.ts); the verdicts are the same, only the speed differs. */
  readonly fastPath: boolean
  /** Whose events must show signatures; nobody's by default. */
  readonly signatures?: SignatureRegistry
}

/** Looked at for each value, so that whoever keeps it can put other sources in its place between two of them. */
export interface SignatureRegistry {
  /** By source; those that are not in it need not sign, and nothing of their signatures is looked at. */
  readonly sources: ReadonlyMap<string, SourceSignatures>
  /** Clock by which keys are valid, ms since 1970: asked once for each event of a source that is in the map. */
  readonly now: () => number
}

const nobodySigns: SignatureRegistry = { sources: new Map(), now: () => 0 }

/** Decodes the value at `[start, end)`; `start` −1 is a null value. Never throws. */
export type Decoder = (bytes: Buffer, start: number, end: number) => Decoded

/**
 * Checks in this order, and the first that fails names the dead letter: null value (TOMBSTONE), size (TOO_LARGE),
 * UTF-8 (INVALID_UTF8), depth (TOO_DEEP), JSON (INVALID_JSON; an empty value and a byte order mark too), schema and
 * well-formed text (SCHEMA), the producer's own hash (HASH_MISMATCH), the producer's signature (SIGNATURE). The last
 * depends on the registry, all others on the value and the options alone.
 */
export function createDecoder(options: DecoderOptions): Decoder {
  const { maxValueBytes, fastPath, signatures = nobodySigns } = options
  const maxDepth = Math.min(options.maxDepth ?? MAX_JSON_DEPTH, MAX_JSON_DEPTH)
  return (bytes, start, end) => {
    if (start < 0) return reject('TOMBSTONE', 'the record has no value')
    if (end - start > maxValueBytes)
      return reject('TOO_LARGE', `the value has ${end - start} bytes, more than ${maxValueBytes}`)
    if (fastPath) {
      const event = decodeFast(bytes, start, end, maxDepth)
      // A signature needs the canonical text, which the fast path does not make.
      if (event !== null && (signatures.sources.size === 0 || !signatures.sources.has(event.source)))
        return event
    }
    return decodeThroughSchema(bytes, start, end, maxDepth, signatures)
  }
}

function decodeThroughSchema(
  bytes: Buffer,
  start: number,
  end: number,
  maxDepth: number,
  signatures: SignatureRegistry,
): Decoded {
  if (start === end) return reject('INVALID_JSON', 'the value is empty')
  const text = bytes.toString('utf8', start, end)
  // Invalid bytes come out as U+FFFD, so text without it needs no second look.
  if (text.includes('\ufffd') && !isUtf8(bytes.subarray(start, end)))
    return reject('INVALID_UTF8', 'the value is not UTF-8')
  if (isDeeperThan(bytes, start, end, maxDepth))
    return reject('TOO_DEEP', `the JSON text is nested more than ${maxDepth} deep`)
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    return reject('INVALID_JSON', error instanceof SyntaxError ? showSyntaxError(error) : 'not JSON')
  }
  const parsed = eventSchema.safeParse(value)
  if (!parsed.success) return reject('SCHEMA', showIssues(parsed.error.issues))
  // zod's own result lacks what the schema does not name; the parsed value has it all.
  return acceptEvent(value as SourceEvent, signatures)
}

function acceptEvent(event: SourceEvent, signatures: SignatureRegistry): Decoded {
  const flaw = findFlawOutsideHash(event)
  if (flaw !== null) return reject('SCHEMA', flaw)
  const policy = policyOf(event)
  let canonical: string
  try {
    canonical = canonicalEvent(event, policy)
  } catch (error) {
    if (!(error instanceof CanonicalJsonError)) throw error
    return reject('SCHEMA', findFlaw(event, []) ?? error.message)
  }
  const contentHash = sha256(canonical)
  return (
    checkProducerHash(event, contentHash) ??
    checkProducerSignature(event, canonical, signatures) ??
    toAccepted(event, policy, contentHash)
  )
}

/** The members that canonicalisation looks at and checks by itself. */
const hashedMembers = new Set(['id', 'type', 'source', 'timestamp', 'data', 'metadata'])

function findFlawOutsideHash(event: SourceEvent): string | null {
  for (const [name, member] of Object.entries(event)) {
    if (hashedMembers.has(name)) continue
    if (!name.isWellFormed()) return "a member's name holds a lone surrogate"
    const flaw = findFlaw(member, [name])
    if (flaw !== null) return flaw
  }
  return null
}

function checkProducerHash(event: SourceEvent, contentHash: Hash): Rejection | null {
  const claimed = event.provenance?.hash
  if (claimed === undefined) return null
  const hex = hashToHex(contentHash)
  if (claimed.replace(/^sha256:/, '').toLowerCase() === hex) return null
  return reject('HASH_MISMATCH', `provenance.hash: the content has the hash sha256:${hex}`)
}

function checkProducerSignature(
  { source, provenance }: SourceEvent,
  canonical: string,
  { sources, now }: SignatureRegistry,
): Rejection | null {
  const required = sources.get(source)
  if (required === undefined) return null
  const keys = keysValidAt(required.keys, now())
  const verdict = checkSignature({ policy: required.policy, keys }, provenance?.signature, canonical)
  return verdict.ok ? null : reject(verdict.code, verdict.detail)
}

function toAccepted(event: SourceEvent, policy: Policy, contentHash: Hash): AcceptedEvent {
  return {
    kind: 'event',
    id: event.id.toLowerCase(),
    type: event.type,
    source: event.source,
    tenantId: event.metadata.tenantId ?? null,
    // JSON admits −0.
    timestampMs: event.timestamp + 0,
    classification: policy.classification,
    policyTags: policy.policyTags,
    contentHash,
  }
}
