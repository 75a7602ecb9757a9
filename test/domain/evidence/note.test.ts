import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Finding } from '../../../src/domain/evidence/finding.ts'
import {
  formatNote,
  MAX_NOTE_BYTES,
  MAX_SIGNATURES,
  type OpenedNote,
  openNote,
  parseNote,
  signNote,
} from '../../../src/domain/evidence/note.ts'
import {
  formatSigningKey,
  isKeyName,
  parseKeyList,
  parseSigningKey,
  parseVerifierKey,
  type SigningKey,
  type VerifierKey,
  verifierKey,
} from '../../../src/domain/evidence/noteKeys.ts'
import { taken, testKey } from './keys.ts'

const read = (name: string) =>
  JSON.parse(readFileSync(new URL(`../../vectors/notes/${name}.json`, import.meta.url), 'utf8'))
const c2sp = read('c2sp') as { verifierKey: string; note: string }
const go = read('go') as {
  verifierKeys: { peter: string; enoch: string }
  badVerifierKeys: string[]
  signingKey: string
  text: string
  peterSignature: string
  enochSignature: string
  peterSignatureDamaged: string
  enochSignatureOther: string
  malformedBase64: string[]
}

const peter = taken(parseVerifierKey(go.verifierKeys.peter))
const enoch = taken(parseVerifierKey(go.verifierKeys.enoch))
const { text, peterSignature, enochSignature } = go
const names = (found: Finding<OpenedNote>): string[] => taken(found).signedBy.map((key) => key.name)
const faultOf = (found: Finding<unknown>): string => (found.ok ? 'none' : found.fault)

/** The text with one byte after another raised by one, as the Go tests do. */
const raised = (given: string): string[] =>
  Array.from(given, (_, at) => {
    const bytes = Buffer.from(given, 'latin1')
    bytes[at] = (bytes[at] as number) + 1
    return bytes.toString('latin1')
  })
const parts = (given: string): string[] =>
  Array.from(given, (_, from) => Array.from(given, (__, to) => given.slice(from, to + 1)))
    .flat()
    .filter((part) => part !== given)

describe('keys', () => {
  it('are read as they are written', () => {
    expect(peter).toMatchObject({ name: 'PeterNeumann', keyId: 'c74f20a3', text: go.verifierKeys.peter })
    const signing = taken(parseSigningKey(go.signingKey))
    expect(signing.verifierKey.text).toBe(go.verifierKeys.peter)
    const { name, publicKey } = peter
    expect(verifierKey(name, publicKey).text).toBe(go.verifierKeys.peter)
    const seed = Buffer.from(go.signingKey.split('+').slice(4).join('+'), 'base64').subarray(1)
    expect(formatSigningKey('PeterNeumann', seed)).toBe(go.signingKey)
  })

  it('are refused in every mangled form, in words that hold no part of a private one', () => {
    const verifierKeys = [
      ...parts(go.verifierKeys.peter),
      ...raised(go.verifierKeys.peter),
      ...go.badVerifierKeys,
    ]
    for (const key of verifierKeys) expect([key, faultOf(parseVerifierKey(key))]).toEqual([key, 'MALFORMED'])
    for (const key of [...parts(go.signingKey), ...raised(go.signingKey), '', 'PRIVATE+KEY+']) {
      const found = parseSigningKey(key)
      if (found.ok) throw new Error(`read: ${key}`)
      expect(found.detail).not.toMatch(/AYEK|RMzD|HKDFz/)
    }
    expect(parseVerifierKey(go.badVerifierKeys[1] ?? '')).toMatchObject({
      detail: expect.stringContaining('0x01'),
    })
  })

  it('have names without spaces and plus', () => {
    for (const name of ['example.com/log', 'ü', '—']) expect(isKeyName(name)).toBe(true)
    for (const name of ['', 'a b', 'a+b', 'a\u2003b', 'a\u0085b', 'a\nb', 'a\u0001b', '\ud800'])
      expect([name, isKeyName(name)]).toEqual([name, false])
    expect(() => verifierKey('a b', peter.publicKey)).toThrow(RangeError)
    expect(() => verifierKey('a', peter.publicKey.subarray(1))).toThrow(RangeError)
  })

  it('do not show their private half', () => {
    const key: SigningKey = taken(parseSigningKey(go.signingKey))
    expect(JSON.stringify(key)).not.toContain('AYEKFA')
    expect(Object.keys(key).sort()).toEqual(['sign', 'verifierKey'])
  })

  it('come as lists with comments', () => {
    const list = taken(parseKeyList(`# ours\n\n${go.verifierKeys.peter}\n  ${go.verifierKeys.enoch}\r\n`))
    expect(list.map((key) => key.name)).toEqual(['PeterNeumann', 'EnochRoot'])
    expect(faultOf(parseKeyList(`${go.verifierKeys.peter}\nPeter`))).toBe('MALFORMED')
    expect(faultOf(parseKeyList(`${go.verifierKeys.peter}\n`.repeat(1_001)))).toBe('MALFORMED')
  })
})

describe('signed notes', () => {
  it('open with the key that signed them: the example of the specification', () => {
    const opened = taken(openNote(c2sp.note, [taken(parseVerifierKey(c2sp.verifierKey))]))
    expect(opened.text).toBe('This is an example message.\n')
  })

  it('are signed to the byte as golang.org/x/mod does', () => {
    const key = taken(parseSigningKey(go.signingKey))
    expect(signNote(text, [key])).toBe(`${text}\n${peterSignature}`)
    const { signatures } = taken(parseNote(`${text}\n${enochSignature}${go.peterSignatureDamaged}`))
    expect(signNote(text, [key], signatures)).toBe(`${text}\n${enochSignature}${peterSignature}`)
    for (const wrong of ['abc', '', 'a\u0001\n', 'a\ud800\n'])
      expect(() => signNote(wrong, [key])).toThrow(RangeError)
    expect(() => signNote(text, [])).toThrow(RangeError)
  })

  it('hold what known keys signed, whoever else did', () => {
    const both = `${text}\n${peterSignature}${enochSignature}`
    const opened = openNote(both, [peter])
    expect(names(opened)).toEqual(['PeterNeumann'])
    expect(taken(opened).text).toBe(text)
    expect(taken(opened).unknown.map((line) => line.keyId)).toEqual(['af0cfe78'])
    expect(names(openNote(both, [enoch, peter]))).toEqual(['PeterNeumann', 'EnochRoot'])
    const repeated = `${text}\n${peterSignature}${peterSignature}${enochSignature}${go.enochSignatureOther}`
    expect(names(openNote(repeated, [peter]))).toEqual(['PeterNeumann'])
  })

  it('say nothing without a known key, with a bad signature of one, or with two of one name and id', () => {
    expect(openNote(`${text}\n${enochSignature}`, [peter])).toMatchObject({
      fault: 'UNVERIFIED',
      detail: expect.stringContaining('EnochRoot+af0cfe78'),
    })
    const damaged = openNote(`${text}\n${go.peterSignatureDamaged}${enochSignature}`, [peter, enoch])
    expect(damaged).toMatchObject({ fault: 'UNVERIFIED', detail: expect.stringContaining('PeterNeumann') })
    expect(faultOf(openNote(`${text}\n${peterSignature}`, []))).toBe('UNVERIFIED')
    const twice = [enoch, peter, taken(parseVerifierKey(go.verifierKeys.enoch))]
    expect(faultOf(openNote(`${text}\n${enochSignature}`, twice))).toBe('UNVERIFIED')
    expect(names(openNote(`${text}\n${peterSignature}`, twice))).toEqual(['PeterNeumann'])
    const misnamed = peterSignature.replace('PeterNeumann', 'CarmenSandiego')
    expect(faultOf(openNote(`${text}\n${misnamed}`, [peter]))).toBe('UNVERIFIED')
    expect(faultOf(openNote(`${text}\n${peterSignature.replace('x08g', 'xxxx')}`, [peter]))).toBe(
      'UNVERIFIED',
    )
  })

  it('are refused in every malformed form', () => {
    // The fifth is not UTF-8: whoever reads a file looks at that before there is a string.
    const malformed = go.malformedBase64.map((base64) => Buffer.from(base64, 'base64').toString('utf8'))
    for (const [at, note] of malformed.entries())
      if (at !== 4) expect([note, faultOf(openNote(note, [peter]))]).toEqual([note, 'MALFORMED'])
    const line = (base64: string) => `${text}\n— PeterNeumann ${base64}\n`
    for (const base64 of ['', 'x08goA==', 'x08goPZK!', 'x08go_ZJkuBS', 'x08go/ZJkuB', 'x08goPZJkuB=='])
      expect([base64, faultOf(openNote(line(base64), [peter]))]).toEqual([base64, 'MALFORMED'])
    expect(faultOf(openNote(`${text}\n${peterSignature.repeat(MAX_SIGNATURES + 1)}`, [peter]))).toBe(
      'MALFORMED',
    )
    expect(names(openNote(`${text}\n${peterSignature.repeat(MAX_SIGNATURES)}`, [peter]))).toHaveLength(1)
    expect(faultOf(openNote(`${'a'.repeat(MAX_NOTE_BYTES)}\n${peterSignature}`, [peter]))).toBe('MALFORMED')
  })

  it('are read as they are written, for any text and keys', () => {
    const line = fc.string({ unit: 'grapheme', maxLength: 20 }).map((each) => each.replace(/\p{Cc}/gu, '.'))
    const keys = [testKey('example.com/one', 1), testKey('two', 2), testKey('example.com/one', 3)]
    fc.assert(
      fc.property(fc.array(line, { maxLength: 5 }), fc.subarray(keys, { minLength: 1 }), (lines, signing) => {
        const signed = `${lines.join('\n')}\n`
        const note = signNote(signed, signing)
        expect(formatNote(taken(parseNote(note)))).toBe(note)
        const known: VerifierKey[] = keys.map((key) => key.verifierKey)
        const opened = taken(openNote(note, known))
        expect(opened.text).toBe(signed)
        expect(opened.signedBy).toEqual(signing.map((key) => key.verifierKey))
      }),
      { numRuns: 40 },
    )
  })
})
