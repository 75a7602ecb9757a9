import { describe, expect, it } from 'vitest'
import { parseEnvelope, preAuthEncoding } from '../../src/domain/dsse.ts'
import {
  checkSignature,
  EVENT_PAYLOAD_TYPE,
  MAX_EVENT_SIGNATURES,
  producerKeyId,
  type SignaturePolicy,
} from '../../src/domain/producerSignature.ts'
import { testKey } from './evidence/keys.ts'

const canonical = '{"classification":"UNCLASSIFIED","data":{"ä":1},"v":1}'
const body = Buffer.from(canonical)
const ours = testKey('shop.example', 1)
const second = testKey('shop.example', 2)
const foreign = testKey('other.example', 3)
const keys = [ours.verifierKey, second.verifierKey]

interface Signature {
  readonly keyid?: string | null
  readonly sig: string
}

const signatureOf = (key: typeof ours, message = preAuthEncoding(EVENT_PAYLOAD_TYPE, body)): Signature => ({
  keyid: producerKeyId(key.verifierKey),
  sig: key.sign(message).toString('base64'),
})

const envelope = (signatures: unknown, more: Readonly<Record<string, unknown>> = {}): string =>
  JSON.stringify({ payloadType: EVENT_PAYLOAD_TYPE, signatures, ...more })

const check = (signature: string | undefined, policy: SignaturePolicy = 'require', text = canonical) =>
  checkSignature({ policy, keys }, signature, text)

const refused = (detail: string) => ({
  ok: false,
  code: 'SIGNATURE',
  detail: expect.stringContaining(detail),
})
const good = { ok: true, keyId: producerKeyId(ours.verifierKey) }

describe('DSSE', () => {
  it('encodes as the example of the protocol', () => {
    const encoded = preAuthEncoding('http://example.com/HelloWorld', Buffer.from('hello world'))
    expect(encoded.toString()).toBe('DSSEv1 29 http://example.com/HelloWorld 11 hello world')
    expect(preAuthEncoding('é', Buffer.from('ä')).toString()).toBe('DSSEv1 2 é 2 ä')
  })

  it('reads the envelope of the example', () => {
    const sig = 'A3JqsQGtVsJ2O2xqrI5IcnXip5GToJ3F+FnZ+O88SjtR6rDAajabZKciJTfUiHqJPcIAriEGAHTVeCUjW2JIZA=='
    const text = JSON.stringify({
      payload: 'aGVsbG8gd29ybGQ=',
      payloadType: 'http://example.com/HelloWorld',
      signatures: [{ sig }],
      more: {},
    })
    expect(parseEnvelope(text)).toEqual({
      payloadType: 'http://example.com/HelloWorld',
      payload: Buffer.from('hello world'),
      signatures: [{ keyId: '', signature: Buffer.from(sig, 'base64') }],
    })
  })

  it('reads nothing else', () => {
    const good = { payloadType: 't', signatures: [{ sig: 'AAAA' }] }
    const bad = [
      { ...good, payloadType: 1 },
      { ...good, payload: 1 },
      { ...good, payload: 'A' },
      { ...good, signatures: undefined },
      { ...good, signatures: {} },
      { ...good, signatures: [null] },
      { ...good, signatures: [{ sig: 'AAA' }] },
      { ...good, signatures: [{ sig: 'AA=A' }] },
      { ...good, signatures: [{ sig: 'AAAA', keyid: 7 }] },
    ].map((envelope) => JSON.stringify(envelope))
    for (const text of [...bad, '', '[]', 'null', '"x"', '{', '['.repeat(50_000)])
      expect([text.slice(0, 90), parseEnvelope(text)]).toEqual([text.slice(0, 90), null])
    expect(parseEnvelope(JSON.stringify(good))).not.toBe(null)
  })
})

describe("a producer's signature", () => {
  it('is good over the canonical content, with or without its payload, in either base64', () => {
    const signature = signatureOf(ours)
    expect(check(envelope([signature]))).toEqual(good)
    expect(check(envelope([signature], { payload: body.toString('base64') }))).toEqual(good)
    const urlSafe = signature.sig.replaceAll('+', '-').replaceAll('/', '_')
    expect(check(envelope([{ ...signature, sig: urlSafe }]))).toEqual(good)
  })

  it('is found by trying every key when it does not name one', () => {
    for (const keyid of [undefined, null, ''])
      expect(check(envelope([{ ...signatureOf(second), keyid }]))).toEqual({
        ok: true,
        keyId: producerKeyId(second.verifierKey),
      })
  })

  it('counts when one of several is good', () => {
    expect(check(envelope([signatureOf(foreign), signatureOf(ours)]))).toEqual(good)
    const wrong = signatureOf(second, body)
    expect(check(envelope([wrong, signatureOf(ours)]))).toEqual(good)
  })

  it('is refused when it is of another content, another type, another key, or without the encoding', () => {
    expect(check(envelope([signatureOf(ours)]), 'verify', `${canonical} `)).toMatchObject(
      refused('none of it'),
    )
    expect(check(envelope([signatureOf(ours, body)]))).toMatchObject(refused('none of it'))
    expect(check(envelope([signatureOf(foreign)]))).toMatchObject(refused('none of it'))
    const claimed = { ...signatureOf(foreign), keyid: producerKeyId(ours.verifierKey) }
    expect(check(envelope([claimed]))).toMatchObject(refused('none of it'))
    const misnamed = { ...signatureOf(ours), keyid: producerKeyId(second.verifierKey) }
    expect(check(envelope([misnamed]))).toMatchObject(refused('none of it'))
    expect(check(envelope([]))).toMatchObject(refused('none of it'))
    const other = signatureOf(ours, preAuthEncoding('application/json', body))
    expect(check(envelope([other], { payloadType: 'application/json' }))).toMatchObject(
      refused('payload type'),
    )
    expect(check(envelope([other]))).toMatchObject(refused('none of it'))
    const payload = Buffer.from('{}').toString('base64')
    expect(check(envelope([signatureOf(ours)], { payload }))).toMatchObject(refused('its payload'))
    expect(check('c2lnbmF0dXJl')).toMatchObject(refused('no DSSE envelope'))
    const many = Array.from({ length: MAX_EVENT_SIGNATURES + 1 }, () => signatureOf(ours))
    expect(check(envelope(many))).toMatchObject(refused('more than'))
    expect(
      checkSignature({ policy: 'verify', keys: [] }, envelope([signatureOf(ours)]), canonical),
    ).toMatchObject(refused('none of it'))
  })

  it('is asked for as the policy of the source says', () => {
    const bad = envelope([signatureOf(foreign)])
    const none = { ok: true, keyId: null }
    expect([check(undefined, 'ignore'), check(bad, 'ignore'), check('x', 'ignore')]).toEqual([
      none,
      none,
      none,
    ])
    expect(check(undefined, 'verify')).toEqual(none)
    expect(check(bad, 'verify')).toMatchObject(refused('none of it'))
    expect(check(undefined, 'require')).toMatchObject(refused('missing'))
    expect(check(bad, 'require')).toMatchObject(refused('none of it'))
  })

  it('is refused in words that hold nothing of the event', () => {
    const secret = 'c2VjcmV0'
    for (const text of [
      secret,
      envelope([{ sig: secret, keyid: secret }], { payload: secret, more: secret }),
    ])
      expect(JSON.stringify(check(text))).not.toContain(secret)
  })
})
