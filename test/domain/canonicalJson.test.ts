import { readdirSync, readFileSync } from 'node:fs'
import { runInNewContext } from 'node:vm'
import reference from 'canonicalize'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CanonicalJsonError, canonicalize } from '../../src/domain/canonicalJson.ts'

const vectors = JSON.parse(readFileSync(new URL('../vectors/rfc8785.json', import.meta.url), 'utf8')) as {
  texts: { input: string; output: string }[]
  numbers: [bits: string, text: string | null][]
}

const doubleOf = (bits: string): number => Buffer.from(bits, 'hex').readDoubleBE()

const reasonOf = (value: unknown): string => {
  try {
    return canonicalize(value)
  } catch (error) {
    if (error instanceof CanonicalJsonError) return error.reason
    throw error
  }
}

describe('canonical JSON', () => {
  it.each(vectors.texts)('writes the texts of RFC 8785 (%#)', ({ input, output }) => {
    expect(canonicalize(JSON.parse(input))).toBe(output)
  })

  it.each(vectors.numbers)('writes the number %s as RFC 8785 does', (bits, text) => {
    expect(reasonOf(doubleOf(bits))).toBe(text ?? 'NOT_FINITE')
  })

  it('agrees with the package canonicalize on any JSON value', () => {
    const anyKey = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.constantFrom('__proto__', '10', '9', 'a', 'é', ''),
    )
    const value = fc.letrec((tie) => ({
      any: fc.oneof(
        { depthSize: 'small' },
        fc.string({ unit: 'binary' }),
        fc.double({ noNaN: true, noDefaultInfinity: true }),
        fc.integer(),
        fc.boolean(),
        fc.constant(null),
        fc.array(tie('any'), { maxLength: 6 }),
        fc.dictionary(anyKey, tie('any'), { maxKeys: 8 }),
      ),
    })).any
    fc.assert(
      // Through JSON, so that `__proto__` is an own member as it is in a parsed event.
      fc.property(value, (given) => {
        const parsed: unknown = JSON.parse(JSON.stringify(given))
        expect(canonicalize(parsed)).toBe(reference(parsed))
      }),
      { numRuns: 2_000 },
    )
  })

  it('agrees with the package canonicalize on any bit pattern of a double', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), (bits) => {
        const value = doubleOf(bits.toString(16).padStart(16, '0'))
        expect(reasonOf(value)).toBe(Number.isFinite(value) ? reference(value) : 'NOT_FINITE')
      }),
      { numRuns: 5_000 },
    )
  })

  it('refuses lone surrogates in values and in names, at any length', () => {
    expect(reasonOf(['\ud800'])).toBe('LONE_SURROGATE')
    expect(reasonOf({ data: `${'x'.repeat(100)}\udc00` })).toBe('LONE_SURROGATE')
    expect(reasonOf({ '\udfff': 1 })).toBe('LONE_SURROGATE')
    expect(canonicalize('\ud83d\ude00')).toBe('"\ud83d\ude00"')
  })

  it.each([
    ['undefined', undefined],
    ['a member that is undefined', { a: undefined }],
    ['a hole', new Array(2)],
    ['a bigint', 1n],
    ['a function', () => 1],
    ['a symbol', Symbol('s')],
    ['a Date', new Date(0)],
    ['a Map', new Map()],
    ['a Buffer', Buffer.from('a')],
    ['an object with toJSON', { toJSON: () => 1 }],
  ])('refuses %s', (_name, value) => {
    expect(reasonOf(value)).toBe('NOT_JSON')
  })

  it('caps the depth, so that a cycle ends in an error and not in a stack overflow', () => {
    const cycle: unknown[] = []
    cycle.push(cycle)
    expect(reasonOf(cycle)).toBe('TOO_DEEP')
    expect(canonicalize([[1]], 2)).toBe('[[1]]')
    expect(() => canonicalize([[[1]]], 2)).toThrow(CanonicalJsonError)
  })

  it('takes plain objects of another realm, as in a sandbox', () => {
    expect(canonicalize(runInNewContext('({ b: [1], a: {} })'))).toBe('{"a":{},"b":[1]}')
  })
})

describe("the reference implementations' test data", () => {
  const folder = new URL('../vectors/json-canonicalization/', import.meta.url)
  const names = readdirSync(new URL('input', folder)).map((name) => name.replace('.json', ''))

  it('is all there', () => {
    expect(names.sort()).toEqual(['arrays', 'french', 'structures', 'unicode', 'values', 'weird'])
  })

  it.each(names)('%s comes out byte for byte', (name) => {
    const input: unknown = JSON.parse(readFileSync(new URL(`input/${name}.json`, folder), 'utf8'))
    const expected = readFileSync(new URL(`outhex/${name}.txt`, folder), 'utf8').replace(/\s+/g, '')
    expect(Buffer.from(canonicalize(input)).toString('hex')).toBe(expected)
  })
})
