import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { openCheckpoint } from '../../../src/domain/evidence/checkpointNote.ts'
import {
  cosign,
  cosignatureLines,
  cosignaturesOf,
  parseWitnessKey,
  readCosignatures,
  withLines,
  witnessKey,
} from '../../../src/domain/evidence/cosignature.ts'
import { keyPairOf } from '../../../src/domain/evidence/ed25519.ts'
import { formatNote, type NoteSignature, parseNote } from '../../../src/domain/evidence/note.ts'
import { parseVerifierKey } from '../../../src/domain/evidence/noteKeys.ts'
import { taken } from './keys.ts'
import { checkpointAt, oldKey } from './sampleLog.ts'

interface Vector {
  readonly name: string
  readonly verifierKey: string
  readonly timestamp: string
  readonly note: string
}

const vectors = JSON.parse(
  readFileSync(new URL('../../vectors/notes/cosignatures.json', import.meta.url), 'utf8'),
) as { readonly cases: readonly Vector[] }

const NAME = 'witness.example/w1'
const seed = Buffer.alloc(32, 9)
const key = witnessKey(NAME, keyPairOf(seed).publicKey)
const checkpoint = checkpointAt(20)
const { text } = taken(parseNote(checkpoint))
const linesOf = (lines: readonly NoteSignature[]): string =>
  formatNote({ text, signatures: lines }).slice(text.length + 1)
const good = cosign(text, NAME, seed, 1_679_315_147n)

describe('cosignatures that others made', () => {
  it.each(vectors.cases)('$name', ({ verifierKey, timestamp, note }) => {
    const found = taken(cosignaturesOf(taken(parseNote(note)), [taken(parseWitnessKey(verifierKey))]))
    expect(found.map((each) => String(each.timestamp))).toEqual([timestamp])
  })

  it('are spoiled by any byte that changes', () => {
    const [{ verifierKey, note } = { verifierKey: '', note: '' }] = vectors.cases
    const witness = taken(parseWitnessKey(verifierKey))
    const whole = taken(parseNote(note))
    const line = whole.signatures.find(({ name }) => name === witness.name)
    if (line === undefined) throw new Error('the vector has no cosignature')
    for (let at = 0; at < line.signature.length; at++) {
      const signature = Buffer.from(line.signature)
      signature.writeUInt8(signature.readUInt8(at) ^ 1, at)
      expect(witness.verify(whole.text, signature)).toBe(null)
    }
    expect(witness.verify(`${whole.text}x\n`, line.signature)).toBe(null)
    expect(witness.verify(whole.text, line.signature.subarray(1))).toBe(null)
  })
})

describe('a cosignature', () => {
  it('is of a time and of the whole text', () => {
    fc.assert(
      fc.property(fc.bigInt(0n, 2n ** 63n - 1n), fc.string({ unit: 'grapheme' }), (time, extra) => {
        const { signature } = cosign(`${text}${extra}`, NAME, seed, time)
        expect(key.verify(`${text}${extra}`, signature)).toBe(time)
        expect(key.verify(`${text}${extra}.`, signature)).toBe(null)
      }),
      { numRuns: 50 },
    )
    expect(key.verify(text, cosign(text, NAME, seed, 2n ** 63n).signature)).toBe(null)
  })

  it('counts when the witness is known, once, and spoils the note when it is bad', () => {
    const other = cosign(text, 'witness.example/other', seed, 5n)
    const note = (lines: readonly NoteSignature[]) => taken(parseNote(withLines(checkpoint, lines)))
    expect(taken(cosignaturesOf(note([other, good, good]), [key])).map(({ timestamp }) => timestamp)).toEqual(
      [1_679_315_147n],
    )
    expect(taken(cosignaturesOf(note([other]), [key]))).toEqual([])
    const bad = { ...good, signature: Buffer.concat([good.signature.subarray(0, 71), Buffer.alloc(1)]) }
    expect(cosignaturesOf(note([bad]), [key])).toMatchObject({ ok: false, fault: 'UNVERIFIED' })
  })

  it('is no signature of the log, and leaves those as they were', () => {
    const note = withLines(checkpoint, [good])
    expect(taken(openCheckpoint(note, { keys: [oldKey.verifierKey] }))).toMatchObject({ size: 20n })
    expect(note.startsWith(checkpoint)).toBe(true)
    expect(withLines(note, [good])).toBe(note)
    expect(parseVerifierKey(key.text).ok).toBe(false)
  })

  it('can be asked for: then a note without it shows nothing', () => {
    const trust = { keys: [oldKey.verifierKey], witnesses: [key] }
    const open = (lines: readonly NoteSignature[]) => openCheckpoint(withLines(checkpoint, lines), trust)
    expect(taken(open([good])).cosignedBy).toMatchObject([{ key, timestamp: 1_679_315_147n }])
    expect(open([])).toMatchObject({ ok: false, detail: expect.stringContaining('has not cosigned it') })
    const bad = { ...good, signature: Buffer.concat([Buffer.alloc(8), good.signature.subarray(8)]) }
    expect(open([bad])).toMatchObject({ ok: false, detail: expect.stringContaining('is not good') })
    // A witness alone is nobody's word about a log.
    expect(openCheckpoint(withLines(checkpoint, [good]), { keys: [], witnesses: [key] }).ok).toBe(false)
  })

  it.each([
    ['nothing', ''],
    ['a sentence', 'no\n'],
    ['another note', `${linesOf([good])}\n— x`],
    ['a line that is cut off', linesOf([good]).slice(0, -1)],
    ["another witness's line", linesOf([cosign(text, 'witness.example/other', seed, 5n)])],
    ['a bad line', linesOf([cosign(`${text}x\n`, NAME, seed, 5n)])],
    ['a whole note', `x\n\n${linesOf([good])}`],
  ])('is not what an answer of %s holds', (_, lines) => {
    expect(readCosignatures(text, lines, key).ok).toBe(false)
  })

  it('is found in an answer among others', () => {
    const answer = linesOf([cosign(text, 'witness.example/other', seed, 5n), good])
    expect(taken(readCosignatures(text, answer, key)).map(({ timestamp }) => timestamp)).toEqual([
      1_679_315_147n,
    ])
    expect(cosignatureLines([{ cosignatures: linesOf([good]) }, { cosignatures: null }])).toEqual([good])
    expect(cosignatureLines([{ cosignatures: 'x' }])).toEqual([])
  })
})

describe("a witness's key", () => {
  it('is read as it is written', () => {
    expect(taken(parseWitnessKey(key.text)).text).toBe(key.text)
  })

  it.each([
    ['empty', ''],
    ['a key of logs', oldKey.verifierKey.text],
    ['another id', key.text.replace(key.keyId, '00000000')],
    ['a byte short', `${NAME}+${key.keyId}+${Buffer.alloc(32, 4).toString('base64')}`],
    ['a name with a space', key.text.replace('witness', 'wit ness')],
  ])('is refused: %s', (_, given) => {
    const parsed = parseWitnessKey(given)
    expect(parsed).toMatchObject({ ok: false, fault: 'MALFORMED' })
  })
})
