import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  appendHeaders,
  createAsciiFields,
  dropHeaders,
  encodeHeaderFields,
  encodeHeaders,
  joinHeaders,
  MalformedHeadersError,
  type NewHeader,
  readHeaders,
} from '../../src/domain/headers.ts'

const header: fc.Arbitrary<NewHeader> = fc.tuple<[string, Buffer | null]>(
  fc.oneof(fc.string({ unit: 'grapheme', maxLength: 80 }), fc.constantFrom('', 'a', 'b', '1')),
  fc.option(fc.uint8Array({ maxLength: 200 }).map((bytes): Buffer => Buffer.from(bytes))),
)
const headers = fc.array(header, { maxLength: 10 })
const read = (bytes: Buffer): NewHeader[] =>
  readHeaders(bytes).map(({ key, value }) => [key, value === null ? null : Buffer.from(value)])

describe('record headers', () => {
  it('reads a wire form made by hand', () => {
    // Two headers: a → 0x01 0x02, b → null (length −1 is the varint 1).
    const bytes = Buffer.from([0xff, 4, 2, 0x61, 4, 1, 2, 2, 0x62, 1, 0xff])
    expect(readHeaders(bytes, 1, 10)).toEqual([
      { key: 'a', value: Buffer.from([1, 2]) },
      { key: 'b', value: null },
    ])
    expect(
      encodeHeaders([
        ['a', Buffer.from([1, 2])],
        ['b', null],
      ]),
    ).toEqual(bytes.subarray(1, 10))
    expect(encodeHeaders([])).toEqual(Buffer.from([0]))
  })

  it('reads back what it writes: order, repeats, empty and null values', () => {
    fc.assert(
      fc.property(headers, (given) => {
        expect(read(encodeHeaders(given))).toEqual(given)
      }),
    )
  })

  it('appends behind the existing ones, which stay byte for byte', () => {
    fc.assert(
      fc.property(headers, headers, headers, (existing, first, second) => {
        const wire = encodeHeaders(existing)
        const joined = appendHeaders(wire, encodeHeaderFields(first), encodeHeaderFields(second))
        expect(joined).toEqual(encodeHeaders([...existing, ...first, ...second]))
        expect(joinHeaders(encodeHeaderFields(first), encodeHeaderFields(second))).toEqual(
          encodeHeaders([...first, ...second]),
        )
      }),
    )
  })

  it('encodes short texts under fixed names in the same way, only faster', () => {
    const texts = createAsciiFields(['offset', 'häsh'])
    fc.assert(
      fc.property(
        fc.stringMatching(/^[0-9a-f]{0,200}$/),
        fc.stringMatching(/^[0-9]{0,19}$/),
        (first, second) => {
          expect(texts([first, second])).toEqual(
            encodeHeaderFields([
              ['offset', Buffer.from(first)],
              ['häsh', Buffer.from(second)],
            ]),
          )
        },
      ),
    )
    expect(() => texts(['one'])).toThrow(RangeError)
  })

  it('counts beyond one byte', () => {
    const many = Array.from({ length: 63 }, (_, index): NewHeader => [`h${index}`, Buffer.alloc(100)])
    const joined = appendHeaders(encodeHeaders(many), encodeHeaderFields([['last', null]]))
    expect(read(joined)).toHaveLength(64)
    expect(joined.subarray(0, 2)).toEqual(Buffer.from([0x80, 0x01]))
  })

  it('drops headers by name, all of that name, and leaves the rest as it was', () => {
    fc.assert(
      fc.property(headers, (given) => {
        const wire = encodeHeaders(given)
        const names = new Set(['a', '1'])
        expect(dropHeaders(wire, names)).toEqual(encodeHeaders(given.filter(([key]) => !names.has(key))))
      }),
    )
    // A name that is not UTF-8 stays what it is.
    const odd = Buffer.from([4, 2, 0xff, 1, 2, 0x61, 1])
    expect(dropHeaders(odd, new Set(['a']))).toEqual(Buffer.from([2, 2, 0xff, 1]))
    const wire = encodeHeaders([['b', null]])
    expect(dropHeaders(wire, new Set(['a']))).toBe(wire)
  })

  it('refuses bytes that are no headers, and never reads beyond its end', () => {
    const inside = Buffer.concat([encodeHeaders([['key', Buffer.from('value')]]), Buffer.alloc(20)])
    for (let end = 0; end < inside.length; end++) {
      if (end === inside.length - 20) continue
      expect(() => readHeaders(inside, 0, end)).toThrow(MalformedHeadersError)
    }
    expect(() => readHeaders(Buffer.from([1]))).toThrow(MalformedHeadersError)
    expect(() => readHeaders(Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0xff]))).toThrow(
      MalformedHeadersError,
    )
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        try {
          readHeaders(Buffer.from(bytes))
        } catch (error) {
          expect(error).toBeInstanceOf(MalformedHeadersError)
        }
      }),
      { numRuns: 2_000 },
    )
  })
})
