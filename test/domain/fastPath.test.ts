import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createDecoder, MAX_JSON_DEPTH } from '../../src/domain/decode.ts'
import { decodeFast } from '../../src/domain/fastPath.ts'
import { hashToHex } from '../../src/domain/hash.ts'
import { eventTexts, eventWith, plainEvent } from './event-samples.ts'

const MAX_VALUE_BYTES = 1_000_000
const throughSchema = createDecoder({ maxValueBytes: MAX_VALUE_BYTES, fastPath: false })

/** Neighbours in the buffer, as in a fetched batch: the scan must not take anything from them. */
const BEFORE = Buffer.from('{"a":[')
const BEHIND = Buffer.from('}"]}}')

function expectSameVerdict(value: Buffer): boolean {
  const bytes = Buffer.concat([BEFORE, value, BEHIND])
  const end = BEFORE.length + value.length
  const fast = decodeFast(bytes, BEFORE.length, end, MAX_JSON_DEPTH)
  const slow = throughSchema(bytes, BEFORE.length, end)
  if (fast !== null) expect(fast).toEqual(slow)
  return fast !== null
}

const fullProvenance = {
  signature: 's',
  policyTags: ['b', 'a', 'b'],
  classification: 'SECRET',
  source: 'origin',
  ingestionTime: 1.5,
  transformations: [{ operation: 'mask', timestamp: 5, userId: 'u' }],
}

const isSure = (value: string | Buffer): boolean => {
  const bytes = Buffer.from(value as string)
  return decodeFast(bytes, 0, bytes.length, MAX_JSON_DEPTH) !== null
}

describe('fast path', () => {
  it('has the verdict and the hash of the schema on arbitrary events', () => {
    let sure = 0
    fc.assert(
      fc.property(eventTexts, (text) => {
        if (expectSameVerdict(Buffer.from(text))) sure++
      }),
      { numRuns: 10_000 },
    )
    // Or the property would say nothing.
    expect(sure).toBeGreaterThan(500)
  })

  it('has the verdict of the schema on events with mutated bytes', () => {
    const telling = Buffer.from('{}[]",:\\ \t\n\r0123456789.eE+-truefalsnl/u\u0000\u007f\u001f')
    const byte = fc.oneof(fc.constantFrom(...telling), fc.integer({ min: 0, max: 255 }))
    const mutation = fc.record({
      at: fc.nat({ max: 0xffff }),
      kind: fc.constantFrom('set', 'insert', 'remove', 'repeat'),
      byte,
      length: fc.integer({ min: 1, max: 12 }),
    })
    let sure = 0
    fc.assert(
      fc.property(
        fc.oneof(eventTexts, fc.constant(JSON.stringify(plainEvent))),
        fc.array(mutation, { minLength: 1, maxLength: 3 }),
        (text, mutations) => {
          let value = Buffer.from(text)
          for (const { at, kind, byte: other, length } of mutations) {
            const position = at % (value.length + 1)
            const head = value.subarray(0, position)
            const tail = value.subarray(position)
            if (kind === 'set') value = Buffer.concat([head, Buffer.from([other]), tail.subarray(1)])
            else if (kind === 'insert') value = Buffer.concat([head, Buffer.from([other]), tail])
            else if (kind === 'remove') value = Buffer.concat([head, tail.subarray(length)])
            else value = Buffer.concat([head, tail.subarray(0, length), tail])
          }
          if (expectSameVerdict(value)) sure++
        },
      ),
      { numRuns: 20_000 },
    )
    expect(sure).toBeGreaterThan(500)
  })

  it('has the verdict of the schema on every byte of an event set to every value', () => {
    const value = eventWith({
      data: { n: -1.5e3, s: 'a\\n"é😀', l: [true, false, null, {}, []] },
      provenance: fullProvenance,
    })
    for (let at = 0; at < value.length; at++) {
      for (let byte = 0; byte < 256; byte++) {
        const mutated = Buffer.from(value)
        mutated[at] = byte
        expectSameVerdict(mutated)
      }
    }
  })

  it('checks the hash of a producer as the schema does', () => {
    const given = { policyTags: ['z', 'a'], classification: 'TOP_SECRET' }
    const unhashed = eventWith({ provenance: given })
    const decoded = throughSchema(unhashed, 0, unhashed.length)
    if (decoded.kind !== 'event') throw new Error(decoded.detail)
    const hex = hashToHex(decoded.contentHash)
    for (const hash of [hex, hex.toUpperCase(), `sha256:${hex}`]) {
      const value = eventWith({ provenance: { ...given, hash } })
      expect(isSure(value)).toBe(true)
      expectSameVerdict(value)
      for (let at = value.indexOf(hash); value[at] !== 0x22; at++) {
        for (const byte of [0x30, 0x61, 0x46, 0x67]) {
          const mutated = Buffer.from(value)
          mutated[at] = byte
          expectSameVerdict(mutated)
        }
      }
    }
  })

  it('writes numbers as ECMAScript does', () => {
    const digits = fc.string({ unit: fc.constantFrom(...'0123456789'), minLength: 1, maxLength: 25 })
    const numberText = fc
      .tuple(
        fc.constantFrom('', '-'),
        fc.oneof(digits, fc.constantFrom('0', '1', '999999999999999999999')),
        fc.option(fc.oneof(digits, fc.constantFrom('0', '000001', '0000001', '10', '000000')), { nil: null }),
        fc.option(fc.tuple(fc.constantFrom('e', 'E', 'e+', 'e-'), fc.integer({ min: 0, max: 400 })), {
          nil: null,
        }),
      )
      .map(([sign, whole, fraction, exponent]) =>
        [
          sign,
          whole,
          fraction === null ? '' : `.${fraction}`,
          exponent === null ? '' : exponent.join(''),
        ].join(''),
      )
    fc.assert(
      fc.property(fc.array(numberText, { minLength: 1, maxLength: 4 }), (numbers) => {
        expectSameVerdict(
          Buffer.from(
            eventWith({})
              .toString()
              .replace('12.5', `[${numbers.join(', ')}]`),
          ),
        )
      }),
      { numRuns: 5_000 },
    )
  })

  it.each([
    ['compact JSON', JSON.stringify(plainEvent)],
    ['JSON with white space', `\n${JSON.stringify(plainEvent, null, 2)}\n`],
    [
      'sorted members',
      JSON.stringify({
        data: {},
        id: plainEvent.id,
        metadata: { version: '' },
        source: 's',
        timestamp: 0,
        type: 't',
      }),
    ],
    ['unknown members', eventWith({ extra: [{}] })],
    ['provenance', eventWith({ provenance: fullProvenance })],
    ['text beyond ASCII', eventWith({ data: { name: 'Jürgen 名 😀' } })],
    ['plain escapes', eventWith({ data: { text: 'a "quoted"\n\\ line' } })],
    ['floats as Python writes them', eventWith({}).toString().replace('12.5', '[1.0, 1e-05, 12.50]')],
  ])('is sure of %s', (_name, value) => {
    expect(isSure(value)).toBe(true)
  })

  it.each([
    ["a hash that is not the content's", eventWith({ provenance: { hash: '0'.repeat(64) } })],
    ['101 policy tags', eventWith({ provenance: { policyTags: Array(101).fill('a') } })],
    ['provenance that is null', eventWith({ provenance: null })],
    ['members named twice', JSON.stringify(plainEvent).replace('{', '{"type":"other",')],
    ['names beyond ASCII', eventWith({ data: { ü: 1 } })],
    ['escaped names', JSON.stringify(plainEvent).replace('"type"', '"typ\\u0065"')],
    ['more members than it has room for', eventWith({ data: { list: Array(10_000).fill(1) } })],
    [
      'names in an order that sorts slowly',
      eventWith({
        data: Object.fromEntries(
          Array.from({ length: 2_000 }, (_, index) => [`k${(index * 7919) % 2000}`, 1]),
        ),
      }),
    ],
    ['values larger than its buffer', eventWith({ data: { text: 'x'.repeat(1_100_000) } })],
  ])('leaves %s to the schema', (_name, value) => {
    expect(isSure(value)).toBe(false)
  })
})
