import { describe, expect, it } from 'vitest'
import { createDecoder } from '../../src/domain/decode.ts'
import { preAuthEncoding } from '../../src/domain/dsse.ts'
import { canonicalEvent, policyOf, type SourceEvent } from '../../src/domain/eventSchema.ts'
import type { SigningKey } from '../../src/domain/evidence/noteKeys.ts'
import type { Decoded } from '../../src/domain/model.ts'
import {
  EVENT_PAYLOAD_TYPE,
  producerKeyId,
  type SignaturePolicy,
  type SourceSignatures,
} from '../../src/domain/producerSignature.ts'
import { eventWith, plainEvent } from './event-samples.ts'
import { testKey } from './evidence/keys.ts'

const ours = testKey('shop.example', 1)
const foreign = testKey('other.example', 2)

/** What a producer would put into `provenance.signature`. */
function sign(event: object, key: SigningKey = ours): string {
  const source = event as SourceEvent
  const message = preAuthEncoding(EVENT_PAYLOAD_TYPE, Buffer.from(canonicalEvent(source, policyOf(source))))
  const sig = key.sign(message).toString('base64')
  return JSON.stringify({
    payloadType: EVENT_PAYLOAD_TYPE,
    signatures: [{ keyid: producerKeyId(key.verifierKey), sig }],
  })
}

const signed = (key: SigningKey = ours, change: object = {}): Buffer => {
  const event = { ...plainEvent, provenance: { classification: 'SECRET', policyTags: ['b', 'a'] } }
  return eventWith({ provenance: { ...event.provenance, signature: sign(event, key) }, ...change })
}

const always = ({ verifierKey: key }: SigningKey) => ({ key, validFrom: new Date(0), validUntil: null })

/** The same with and without the fast path. */
function decode(value: Buffer, policy: SignaturePolicy | null, source: string = plainEvent.source): Decoded {
  const sources = new Map<string, SourceSignatures>()
  if (policy !== null) sources.set(source, { policy, keys: [always(ours)] })
  const [slow, fast] = [false, true].map((fastPath) =>
    createDecoder({ maxValueBytes: 100_000, fastPath, signatures: { sources, now: Date.now } })(
      value,
      0,
      value.length,
    ),
  ) as [Decoded, Decoded]
  expect(fast).toEqual(slow)
  return slow
}

const verdict = (decoded: Decoded): string => (decoded.kind === 'event' ? 'event' : decoded.code)
const verdicts = (value: Buffer) =>
  ([null, 'ignore', 'verify', 'require'] as const).map((policy) => verdict(decode(value, policy)))

describe("a producer's signature", () => {
  it('decides as the policy of the source says', () => {
    expect(verdicts(signed())).toEqual(['event', 'event', 'event', 'event'])
    expect(verdicts(eventWith({}))).toEqual(['event', 'event', 'event', 'SIGNATURE'])
    const bad = ['event', 'event', 'SIGNATURE', 'SIGNATURE']
    expect(verdicts(signed(foreign))).toEqual(bad)
    expect(verdicts(signed(ours, { type: 'order.paid' }))).toEqual(bad)
    expect(verdicts(eventWith({ provenance: { signature: 'x' } }))).toEqual(bad)
  })

  it('changes nothing but the verdict', () => {
    expect(decode(signed(), 'require')).toEqual(decode(signed(), null))
  })

  it('is of no interest where another source must sign', () => {
    expect(verdict(decode(eventWith({}), 'require', 'another source'))).toBe('event')
    expect(verdict(decode(eventWith({ source: '__proto__' }), 'require', 'toString'))).toBe('event')
  })

  it('says what is wrong without any part of the event, and after all that is wrong with the value', () => {
    expect(decode(eventWith({}), 'require')).toEqual({
      kind: 'rejected',
      code: 'SIGNATURE',
      detail: 'provenance.signature: it is missing, and the source must sign',
    })
    expect(verdict(decode(eventWith({ provenance: { hash: '0'.repeat(64) } }), 'require'))).toBe(
      'HASH_MISMATCH',
    )
    expect(verdict(decode(eventWith({ type: 1 }), 'require'))).toBe('SCHEMA')
  })

  it('follows the registry from one value to the next', () => {
    const registry = { sources: new Map<string, SourceSignatures>(), now: Date.now }
    const decoder = createDecoder({ maxValueBytes: 100_000, fastPath: true, signatures: registry })
    const value = eventWith({})
    expect(verdict(decoder(value, 0, value.length))).toBe('event')
    registry.sources = new Map([[plainEvent.source, { policy: 'require', keys: [] }]])
    expect(verdict(decoder(value, 0, value.length))).toBe('SIGNATURE')
  })
})
