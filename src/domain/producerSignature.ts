/**
 * Producers' signatures: `provenance.signature` is a DSSE envelope, as JSON text, over the canonical content that the
 * content hash covers. Its payload may be left out, since it follows from the event.
 */
import { type DsseSignature, parseEnvelope, preAuthEncoding } from './dsse.ts'
import type { VerifierKey } from './evidence/noteKeys.ts'

/** What is signed is the canonical content of an event, version 1 (docs/evidence.md). */
export const EVENT_PAYLOAD_TYPE = 'application/vnd.streaming-ingest.event.v1+json'

/** Signatures that one event may carry, and keys that one source may have: each pair costs up to 60 µs to check. */
export const MAX_EVENT_SIGNATURES = 4
export const MAX_SOURCE_KEYS = 16

/**
 * What a source's events must show. `ignore`: nothing is looked at. `verify`: a signature that is there must be good.
 * `require`: there must be a good one.
 */
export const signaturePolicies = ['ignore', 'verify', 'require'] as const
export type SignaturePolicy = (typeof signaturePolicies)[number]

/** A public key of a source, in the form of a verifier key, and the time in which it is valid. */
export interface ProducerKey {
  readonly key: VerifierKey
  readonly validFrom: Date
  /** Exclusive; null while no end is set. */
  readonly validUntil: Date | null
}

export interface SourceSignatures {
  readonly policy: SignaturePolicy
  /** Also some whose time is over or still to come: the clock decides when an event is at hand. */
  readonly keys: readonly ProducerKey[]
  /** Keys that are stored in a form that cannot be read, by number of their rows; where there is one, the policy is `require`. */
  readonly unreadable?: readonly string[]
}

/** The keys that are valid at an instant, ms since 1970. */
export const keysValidAt = (keys: readonly ProducerKey[], atMs: number): readonly VerifierKey[] =>
  keys
    .filter(
      ({ validFrom, validUntil }) =>
        validFrom.getTime() <= atMs && (validUntil === null || atMs < validUntil.getTime()),
    )
    .map(({ key }) => key)

/** What one event must show, by keys that are valid when it is looked at. */
export interface SignatureDemand {
  readonly policy: SignaturePolicy
  readonly keys: readonly VerifierKey[]
}

export type SignatureVerdict =
  /** `keyId` names the key whose signature was good; null when none was looked for, or there was none to look at. */
  | { readonly ok: true; readonly keyId: string | null }
  /** `detail` is for a person and holds no part of the event. */
  | { readonly ok: false; readonly code: 'SIGNATURE'; readonly detail: string }

/** How envelopes name a key: the beginning of its verifier key. */
export const producerKeyId = ({ name, keyId }: VerifierKey): string => `${name}+${keyId}`

/**
 * Decides about one event. `signature` is `provenance.signature` as it was parsed, `canonical` the text that the content
 * hash covers. A signature of no known key is as bad as a wrong one: nobody else than the source answers for it.
 */
export function checkSignature(
  { policy, keys }: SignatureDemand,
  signature: string | undefined,
  canonical: string,
): SignatureVerdict {
  if (policy === 'ignore') return { ok: true, keyId: null }
  if (signature === undefined)
    return policy === 'verify'
      ? { ok: true, keyId: null }
      : refused('it is missing, and the source must sign')
  const envelope = parseEnvelope(signature)
  if (envelope === null) return refused('it is no DSSE envelope')
  const { payloadType, payload, signatures } = envelope
  if (payloadType !== EVENT_PAYLOAD_TYPE) return refused(`its payload type is not ${EVENT_PAYLOAD_TYPE}`)
  if (signatures.length > MAX_EVENT_SIGNATURES)
    return refused(`it holds more than ${MAX_EVENT_SIGNATURES} signatures`)
  const body = Buffer.from(canonical, 'utf8')
  if (payload !== null && !payload.equals(body)) return refused('its payload is not the content of the event')
  const message = preAuthEncoding(payloadType, body)
  for (const each of signatures) {
    const signer = candidates(keys, each).find((key) => key.verify(message, each.signature))
    if (signer !== undefined) return { ok: true, keyId: producerKeyId(signer) }
  }
  return refused('none of it is a good signature of a key that the source has')
}

/** The hint narrows the choice; without one every key of the source is tried. */
const candidates = (keys: readonly VerifierKey[], { keyId }: DsseSignature): readonly VerifierKey[] =>
  keys.filter((key) => keyId === '' || producerKeyId(key) === keyId).slice(0, MAX_SOURCE_KEYS)

const refused = (why: string): SignatureVerdict => ({
  ok: false,
  code: 'SIGNATURE',
  detail: `provenance.signature: ${why}`,
})
