import { createHash } from 'node:crypto'
import reference from 'canonicalize'
import { describe, expect, it } from 'vitest'
import { createDecoder, MAX_JSON_DEPTH } from '../../src/domain/decode.ts'
import { hashToHex } from '../../src/domain/hash.ts'
import type { AcceptedEvent, Decoded, Rejection } from '../../src/domain/model.ts'
import { eventWith, plainEvent } from './event-samples.ts'

const MAX_VALUE_BYTES = 100_000

/** Verdict on a value that lies in the middle of a larger buffer, the same with and without the fast path. */
function decode(value: string | Buffer): Decoded {
  const bytes = Buffer.from(value as string)
  const around = Buffer.concat([Buffer.from('{"before":'), bytes, Buffer.from('"}]} behind')])
  const [slow, fast] = [false, true].map((fastPath) =>
    createDecoder({ maxValueBytes: MAX_VALUE_BYTES, fastPath })(around, 10, 10 + bytes.length),
  ) as [Decoded, Decoded]
  expect(fast).toEqual(slow)
  return slow
}

function accepted(value: string | Buffer): AcceptedEvent {
  const decoded = decode(value)
  if (decoded.kind !== 'event') throw new Error(`${decoded.code}: ${decoded.detail}`)
  return decoded
}

function rejected(value: string | Buffer): Rejection {
  const decoded = decode(value)
  if (decoded.kind !== 'rejected') throw new Error('it was accepted')
  return decoded
}

const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth)

describe('decode', () => {
  it('accepts an event and derives its columns', () => {
    const event = accepted(eventWith({}))
    expect(event).toMatchObject({
      kind: 'event',
      id: plainEvent.id,
      type: 'order.created',
      source: 'shop',
      tenantId: 't-1',
      timestampMs: 1_760_000_000_000,
      classification: 'UNCLASSIFIED',
      policyTags: [],
    })
  })

  it('hashes the canonical envelope, tags sorted without repeats', () => {
    const envelope = {
      v: 1,
      id: plainEvent.id,
      type: plainEvent.type,
      source: plainEvent.source,
      timestamp: plainEvent.timestamp,
      data: plainEvent.data,
      metadata: plainEvent.metadata,
    }
    const sha256 = (value: unknown) =>
      createHash('sha256')
        .update(reference(value) as string)
        .digest('hex')
    const plain = sha256({ ...envelope, policyTags: [], classification: 'UNCLASSIFIED' })
    expect(hashToHex(accepted(eventWith({})).contentHash)).toBe(plain)
    const marked = accepted(
      eventWith({ provenance: { policyTags: ['b', 'a', 'b', 'B'], classification: 'SECRET' } }),
    )
    expect(marked).toMatchObject({ policyTags: ['B', 'a', 'b'], classification: 'SECRET' })
    expect(hashToHex(marked.contentHash)).toBe(
      sha256({ ...envelope, policyTags: ['B', 'a', 'b'], classification: 'SECRET' }),
    )
  })

  it('lower-cases the id before hashing and storing', () => {
    const upper = accepted(eventWith({ id: plainEvent.id.toUpperCase() }))
    expect(upper).toEqual(accepted(eventWith({})))
  })

  it('takes the nil UUID as zod does', () => {
    expect(accepted(eventWith({ id: '00000000-0000-0000-0000-000000000000' })).id).toMatch(/^0/)
  })

  it('has one hash for one event however it is written', () => {
    const { contentHash } = accepted(eventWith({}))
    const { id, type, ...rest } = plainEvent
    expect(accepted(JSON.stringify({ ...rest, type, id }, null, 2)).contentHash).toBe(contentHash)
    expect(accepted(` ${JSON.stringify(plainEvent).replace('12.5', '1250e-2')}\n`).contentHash).toBe(
      contentHash,
    )
    expect(accepted(JSON.stringify(plainEvent).replace('12.5', '12.50')).contentHash).toBe(contentHash)
    expect(
      accepted(JSON.stringify(plainEvent).replace('order.created', 'order\\u002ecreated')).contentHash,
    ).toBe(contentHash)
  })

  it('keeps unknown members out of the way of the verdict, inside metadata and provenance too', () => {
    const more = { extra: { deep: [1] }, provenance: { color: 'red' }, metadata: { version: '1', more: {} } }
    expect(accepted(eventWith(more)).kind).toBe('event')
    // Unknown members of metadata are hashed, those beside it are not.
    expect(accepted(eventWith({ extra: 1 })).contentHash).toBe(accepted(eventWith({})).contentHash)
    expect(accepted(eventWith(more)).contentHash).not.toBe(accepted(eventWith({})).contentHash)
  })

  it('checks the hash that a producer sends, with and without its prefix and in any case', () => {
    const hex = hashToHex(accepted(eventWith({})).contentHash)
    for (const hash of [hex, `sha256:${hex}`, hex.toUpperCase()])
      expect(accepted(eventWith({ provenance: { hash } })).kind).toBe('event')
    const wrong = rejected(eventWith({ provenance: { hash: '0'.repeat(64) } }))
    expect(wrong).toMatchObject({ code: 'HASH_MISMATCH', detail: expect.stringContaining(hex) })
  })

  it('treats __proto__ as an ordinary member: hashed, and harmless', () => {
    const hostile = (data: string, metadata = '{"version":"1"}') =>
      JSON.stringify(plainEvent).replace(/"data":.*/, `"data":${data},"metadata":${metadata}}`)
    const plain = accepted(hostile('{}'))
    const withProto = accepted(hostile('{"__proto__":{"isAdmin":true}}'))
    expect(withProto.contentHash).not.toBe(plain.contentHash)
    expect(accepted(hostile('{}', '{"version":"1","__proto__":{"tenantId":"t"}}'))).toMatchObject({
      tenantId: null,
    })
    expect(rejected(hostile('{}', '{"__proto__":{"version":"1"}}')).code).toBe('SCHEMA')
    expect(rejected('{"__proto__":{"id":"x"}}').detail).toContain('id: ')
    expect(accepted(eventWith({}).toString().replace('{', '{"__proto__":{"type":1},')).type).toBe(
      'order.created',
    )
    expect(({} as Record<string, unknown>)['isAdmin']).toBeUndefined()
  })

  it.each<[name: string, value: string | Buffer, code: string, detail: string | RegExp]>([
    ['an empty value', '', 'INVALID_JSON', 'the value is empty'],
    ['white space', '  ', 'INVALID_JSON', /ends too early/],
    ['invalid UTF-8', Buffer.from([0x7b, 0xff, 0x7d]), 'INVALID_UTF8', /UTF-8/],
    [
      'invalid UTF-8 inside an event',
      Buffer.concat([eventWith({}).subarray(0, 60), Buffer.from([0xc3]), eventWith({}).subarray(60)]),
      'INVALID_UTF8',
      /UTF-8/,
    ],
    ['an encoded surrogate', Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22]), 'INVALID_UTF8', /UTF-8/],
    ['a byte order mark', `\ufeff${JSON.stringify(plainEvent)}`, 'INVALID_JSON', 'not JSON'],
    ['half an event', eventWith({}).subarray(0, 100), 'INVALID_JSON', /JSON/],
    ['two events', Buffer.concat([eventWith({}), eventWith({})]), 'INVALID_JSON', /character/],
    [
      'a control character in a string',
      eventWith({}).toString().replace('shop', 'sh\nop'),
      'INVALID_JSON',
      /character/,
    ],
    ['10,000 arrays', nested(10_000), 'TOO_DEEP', /64/],
    ['10,000 open brackets', '['.repeat(10_000), 'TOO_DEEP', /64/],
    [
      '10,000 objects inside data',
      eventWith({})
        .toString()
        .replace('12.5', `${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}`),
      'TOO_DEEP',
      /64/,
    ],
    ['a value over the limit', Buffer.alloc(MAX_VALUE_BYTES + 1, 0x20), 'TOO_LARGE', /100001 bytes/],
    ['null', 'null', 'SCHEMA', /expected object/],
    ['an array', '[]', 'SCHEMA', /expected object/],
    ['no id', eventWith({ id: undefined }), 'SCHEMA', /^id: /],
    ['an id that is no UUID', eventWith({ id: 'abc' }), 'SCHEMA', 'id: Invalid UUID'],
    ['a type that is a number', eventWith({ type: 1 }), 'SCHEMA', /^type: .*string/],
    ['an empty type', eventWith({ type: '' }), 'SCHEMA', /^type: /],
    ['an empty source', eventWith({ source: '' }), 'SCHEMA', /^source: /],
    ['a type of 257 characters', eventWith({ type: 'x'.repeat(257) }), 'SCHEMA', /^type: .*256/],
    ['a source of 257 characters', eventWith({ source: 'x'.repeat(257) }), 'SCHEMA', /^source: .*256/],
    [
      'a tenant of 257 characters',
      eventWith({ metadata: { version: '1', tenantId: 'x'.repeat(257) } }),
      'SCHEMA',
      /^metadata.tenantId: .*256/,
    ],
    ['NUL in a type', eventWith({ type: 'a\u0000' }), 'SCHEMA', /^type: .*U\+0000/],
    ['NUL in a source', eventWith({ source: '\u0000' }), 'SCHEMA', /^source: .*U\+0000/],
    [
      'NUL in a tenant',
      eventWith({ metadata: { version: '1', tenantId: '\u0000' } }),
      'SCHEMA',
      /^metadata.tenantId: .*U\+0000/,
    ],
    [
      'NUL in a policy tag',
      eventWith({ provenance: { policyTags: ['a\u0000'] } }),
      'SCHEMA',
      /^provenance.policyTags.0: /,
    ],
    ['a negative timestamp', eventWith({ timestamp: -1 }), 'SCHEMA', /^timestamp: /],
    ['a fractional timestamp', eventWith({ timestamp: 1.5 }), 'SCHEMA', /^timestamp: .*int/],
    ['a timestamp out of range', eventWith({ timestamp: 253_402_300_800_000 }), 'SCHEMA', /^timestamp: /],
    [
      'a timestamp beyond doubles',
      eventWith({}).toString().replace('1760000000000', '1e999'),
      'SCHEMA',
      /^timestamp: /,
    ],
    ['a timestamp that is a string', eventWith({ timestamp: '1' }), 'SCHEMA', /^timestamp: /],
    ['data that is an array', eventWith({ data: [] }), 'SCHEMA', /^data: .*object/],
    ['data that is null', eventWith({ data: null }), 'SCHEMA', /^data: .*object/],
    ['no metadata', eventWith({ metadata: undefined }), 'SCHEMA', /^metadata: /],
    [
      'a version that is a number',
      eventWith({ metadata: { version: 1 } }),
      'SCHEMA',
      /^metadata.version: .*string/,
    ],
    [
      'a userId that is null',
      eventWith({ metadata: { version: '1', userId: null } }),
      'SCHEMA',
      /^metadata.userId: /,
    ],
    [
      'an unknown classification',
      eventWith({ provenance: { classification: 'secret' } }),
      'SCHEMA',
      /^provenance.classification: .*UNCLASSIFIED/,
    ],
    [
      'a hash that is none',
      eventWith({ provenance: { hash: 'abc' } }),
      'SCHEMA',
      /^provenance.hash: .*64 hex/,
    ],
    ['provenance that is null', eventWith({ provenance: null }), 'SCHEMA', /^provenance: /],
    [
      '101 policy tags',
      eventWith({ provenance: { policyTags: Array(101).fill('a') } }),
      'SCHEMA',
      /^provenance.policyTags: .*100/,
    ],
    ['a lone surrogate in a type', eventWith({ type: '\ud800' }), 'SCHEMA', 'type: holds a lone surrogate'],
    [
      'a lone surrogate in data',
      eventWith({ data: { a: ['\udc00'] } }),
      'SCHEMA',
      'data.a.0: holds a lone surrogate',
    ],
    [
      'a lone surrogate in a name',
      eventWith({ data: { a: { '\ud800': 1 } } }),
      'SCHEMA',
      "data.a: a member's name holds a lone surrogate",
    ],
    [
      'a lone surrogate in a signature',
      eventWith({ provenance: { signature: '\ud800' } }),
      'SCHEMA',
      'provenance.signature: holds a lone surrogate',
    ],
    [
      'a lone surrogate in an unknown member',
      eventWith({ extra: ['\ud800'] }),
      'SCHEMA',
      'extra.0: holds a lone surrogate',
    ],
    [
      'a lone surrogate in an unknown name',
      eventWith({ '\ud800': 1 }),
      'SCHEMA',
      "a member's name holds a lone surrogate",
    ],
    [
      'a number beyond doubles in data',
      eventWith({}).toString().replace('12.5', '-1e400'),
      'SCHEMA',
      'data.amount: the number is out of range',
    ],
  ])('makes a dead letter of %s', (_name, value, code, detail) => {
    const rejection = rejected(value)
    expect(rejection.code).toBe(code)
    if (typeof detail === 'string') expect(rejection.detail).toBe(detail)
    else expect(rejection.detail).toMatch(detail)
  })

  it.each<[name: string, value: string | Buffer]>([
    ['NUL inside data', eventWith({ data: { a: '\u0000', '\u0000': 1 } })],
    ['a type of 256 characters', eventWith({ type: 'x'.repeat(256) })],
    ['an empty tenant', eventWith({ metadata: { version: '1', tenantId: '' } })],
    ['the first and the last timestamp', eventWith({ timestamp: 0 })],
    ['the last timestamp', eventWith({ timestamp: 253_402_300_799_999 })],
    ['text beyond ASCII', eventWith({ type: 'Bestellung.geändert', data: { 名: '😀' } })],
    ['U+FFFD written by the producer', eventWith({ data: { a: '\ufffd' } })],
    ['empty data', eventWith({ data: {} })],
    [
      'exactly as deep as allowed',
      eventWith({})
        .toString()
        .replace('12.5', nested(MAX_JSON_DEPTH - 2)),
    ],
    ['brackets inside strings', eventWith({ data: { a: '['.repeat(1_000), b: `\\"${'{'.repeat(100)}` } })],
    ['members named twice', eventWith({}).toString().replace('{', '{"type":5,')],
  ])('accepts %s', (_name, value) => {
    expect(accepted(value).kind).toBe('event')
  })

  it('takes one level more for too deep', () => {
    const value = eventWith({})
      .toString()
      .replace('12.5', nested(MAX_JSON_DEPTH - 1))
    expect(rejected(value).code).toBe('TOO_DEEP')
  })

  it('makes a tombstone of a null value and of that only', () => {
    const decoder = createDecoder({ maxValueBytes: 10, fastPath: true })
    expect(decoder(Buffer.alloc(0), -1, -1)).toMatchObject({ code: 'TOMBSTONE' })
    expect(decoder(Buffer.alloc(0), 0, 0)).toMatchObject({ code: 'INVALID_JSON' })
  })

  it('never tells a value in a detail, and tells nothing that a column cannot store', () => {
    const secret = 'S3CRET'
    const values = [
      `{"id":${secret}`,
      `${secret}`,
      `{"a":"${secret}" ${secret}}`,
      eventWith({
        id: secret,
        type: [secret],
        timestamp: secret,
        provenance: { classification: secret, hash: secret },
      }),
      eventWith({ data: { [`${secret}@example.org`]: '\ud800' } }),
      eventWith({ data: { 'nul\u0000': '\ud800' } }),
      eventWith({ provenance: { policyTags: Array.from({ length: 90 }, () => ({ secret })) } }),
    ]
    for (const value of values) {
      const { detail } = rejected(value)
      expect(detail).not.toContain(secret)
      expect(detail.isWellFormed() && !detail.includes('\u0000')).toBe(true)
      expect(detail.length).toBeLessThanOrEqual(1_000)
    }
  })
})
