import { describe, expect, it } from 'vitest'
import { formatCheckpoint, type Trust } from '../../../src/domain/evidence/checkpointNote.ts'
import { signNote } from '../../../src/domain/evidence/note.ts'
import { MAX_PROOF_BYTES, verifyEvidence } from '../../../src/domain/evidence/verifyEvidence.ts'
import {
  checkpointAt,
  consistencyBetween,
  foreignKey,
  inclusionFile,
  LEAVES,
  newKey,
  ORIGIN,
  oldKey,
  recordLineAt,
  rootAt,
  witnessKey,
} from './sampleLog.ts'

const trust: Trust = { keys: [oldKey.verifierKey] }

function verify(file: string, event?: string, given: Trust = trust) {
  const bytes = event === undefined ? {} : { event: Buffer.from(event) }
  return verifyEvidence({ file: Buffer.from(file), trust: given, ...bytes })
}

const refusedAs = (fault: string, detail: string) => ({
  ok: false,
  fault,
  detail: expect.stringContaining(detail),
})

describe('a checkpoint', () => {
  it('is believed when a known key signed it, in an overlap the old or the new one', () => {
    const note = checkpointAt(9, [oldKey, newKey, witnessKey])
    for (const key of [oldKey, newKey]) {
      const found = verify(note, undefined, { keys: [key.verifierKey] })
      expect(found).toMatchObject({
        ok: true,
        value: { what: 'checkpoint', checkpoint: { size: 9n, root: rootAt(9) } },
      })
    }
  })

  it('is not believed on the word of a key that answers for other logs', () => {
    const note = checkpointAt(9, [foreignKey])
    const keys = [foreignKey.verifierKey]
    expect(verify(note, undefined, { keys })).toMatchObject(refusedAs('UNVERIFIED', 'answers for'))
    expect(verify(note, undefined, { keys, origin: ORIGIN }).ok).toBe(true)
    const other = verify(checkpointAt(9), undefined, { ...trust, origin: `${ORIGIN}/2` })
    expect(other).toMatchObject(refusedAs('UNVERIFIED', `not of ${ORIGIN}/2`))
    // The name of the key must end where a part of the origin ends.
    const near = checkpointAt(9, [oldKey], 'example.com/ingested/orders')
    expect(verify(near)).toMatchObject(refusedAs('UNVERIFIED', 'answers for'))
  })

  it('is refused when its text is none, although it is signed', () => {
    const root = formatCheckpoint({ origin: ORIGIN, size: 9n, root: rootAt(9), extensions: [] }).split(
      '\n',
    )[2]
    const texts = [
      `${ORIGIN}\n9\n`,
      `${ORIGIN}\n09\n${root}\n`,
      `${ORIGIN}\n-9\n${root}\n`,
      `${ORIGIN}\n9223372036854775808\n${root}\n`,
      `${ORIGIN}\n9\n${root?.slice(0, -2)}\n`,
      `${ORIGIN}\n9\n${root}\n\n`,
      `\n9\n${root}\n`,
      'This is an example message.\n',
    ]
    for (const text of texts)
      expect([text, verify(signNote(text, [oldKey]))]).toMatchObject([text, { fault: 'MALFORMED' }])
  })

  it('keeps the extension lines that others write', () => {
    const text = formatCheckpoint({ origin: ORIGIN, size: 9n, root: rootAt(9), extensions: ['one', 'two 2'] })
    const found = verify(signNote(text, [oldKey]))
    expect(found).toMatchObject({ value: { checkpoint: { extensions: ['one', 'two 2'] } } })
  })
})

describe('an inclusion proof', () => {
  it('shows every leaf of every size, with the event beside it or inside', () => {
    for (let size = 1; size <= LEAVES; size++)
      for (let index = 0; index < size; index++) {
        const beside = verify(inclusionFile(index, size), recordLineAt(index))
        expect(beside).toMatchObject({
          ok: true,
          value: { what: 'inclusion', record: { leafIndex: BigInt(index) } },
        })
        expect(verify(inclusionFile(index, size, { carried: true })).ok).toBe(true)
      }
  })

  it('finds its event among many', () => {
    const all = Array.from({ length: LEAVES }, (_, index) => `${recordLineAt(index)}\n`).join('')
    expect(verify(inclusionFile(11, 20), all).ok).toBe(true)
    const others = [recordLineAt(1), recordLineAt(2)].join('\n')
    expect(verify(inclusionFile(11, 20), others)).toMatchObject(refusedAs('UNVERIFIED', 'leaf 11'))
  })

  it('says nothing about another event, or without one', () => {
    expect(verify(inclusionFile(11, 20), recordLineAt(12))).toMatchObject(
      refusedAs('UNVERIFIED', 'another one'),
    )
    expect(verify(inclusionFile(11, 20))).toMatchObject(refusedAs('MALFORMED', 'is needed'))
    const moved = recordLineAt(12).replace('"leafIndex":"12"', '"leafIndex":"11"')
    expect(verify(inclusionFile(11, 20), moved)).toMatchObject(refusedAs('UNVERIFIED', 'does not lead'))
    const elsewhere = recordLineAt(11).replace('example.com/ingest', 'example.com/elsewhere')
    expect(verify(inclusionFile(11, 20), elsewhere)).toMatchObject(refusedAs('UNVERIFIED', 'another one'))
  })

  it('is refused when it is newer than its checkpoint, has too few or too many hashes, or another root', () => {
    const event = recordLineAt(11)
    const older = inclusionFile(11, 20, { checkpoint: checkpointAt(11) })
    expect(verify(older, event)).toMatchObject(refusedAs('UNVERIFIED', 'covers 11 leaves only'))
    const other = inclusionFile(11, 20, { checkpoint: checkpointAt(17) })
    expect(verify(other, event)).toMatchObject(refusedAs('UNVERIFIED', 'does not lead'))
    const lines = inclusionFile(11, 20).split('\n')
    const without = [...lines.slice(0, 2), ...lines.slice(3)].join('\n')
    expect(verify(without, event)).toMatchObject(
      refusedAs('UNVERIFIED', 'has 4 hashes where these sizes need 5'),
    )
    const doubled = [...lines.slice(0, 3), ...lines.slice(2)].join('\n')
    expect(verify(doubled, event)).toMatchObject(refusedAs('UNVERIFIED', 'has 6 hashes'))
    const swapped = [...lines.slice(0, 2), lines[3], lines[2], ...lines.slice(4)].join('\n')
    expect(verify(swapped, event)).toMatchObject(refusedAs('UNVERIFIED', 'does not lead'))
  })

  it.each([
    ['a later version', (file: string) => file.replace('@v1', '@v2'), 'version'],
    ['no index', (file: string) => file.replace(/index .*\n/, ''), 'index'],
    ['a negative index', (file: string) => file.replace('index 11', 'index -1'), 'index'],
    ['an index with a zero before it', (file: string) => file.replace('index 11', 'index 011'), 'index'],
    [
      'an index beyond 63 bits',
      (file: string) => file.replace('index 11', 'index 9223372036854775808'),
      'index',
    ],
    ['extra data that is no base64', (file: string) => file.replace('index', 'extra ?\nindex'), 'extra'],
    ['a hash cut short', (file: string) => file.replace(/(index .*\n.{20})..../, '$1'), 'hash 1'],
    ['a hash that is no base64', (file: string) => file.replace(/(index .*\n)./, '$1?'), 'hash 1'],
    [
      '64 hashes',
      (file: string) => file.replace(/(index .*\n)(.*\n)/, (_all, index, hash) => index + hash.repeat(64)),
      '63',
    ],
    ['no checkpoint', (file: string) => file.slice(0, file.indexOf('\n\n') + 1), 'empty line'],
    [
      'nothing behind its empty line',
      (file: string) => file.slice(0, file.indexOf('\n\n') + 2),
      'empty line',
    ],
    ['carriage returns', (file: string) => file.replaceAll('\n', '\r\n'), 'version'],
  ])('is refused with %s', (_name, spoil, named) => {
    const found = verify(spoil(inclusionFile(11, 20)), recordLineAt(11))
    expect(found).toMatchObject(refusedAs('MALFORMED', named))
  })
})

describe('a consistency proof', () => {
  it('shows that every size continues every smaller one', () => {
    for (let size = 1; size <= LEAVES; size++)
      for (let oldSize = 1; oldSize <= size; oldSize++)
        expect(verify(consistencyBetween(oldSize, size))).toMatchObject({
          ok: true,
          value: { what: 'consistency' },
        })
  })

  it('is refused when the log was rewritten, cut back, or is another one', () => {
    const rewritten = signNote(
      formatCheckpoint({ origin: ORIGIN, size: 20n, root: rootAt(19), extensions: [] }),
      [oldKey],
    )
    expect(verify(consistencyBetween(11, 20, { checkpoint: rewritten }))).toMatchObject(
      refusedAs('UNVERIFIED', 'does not begin'),
    )
    const backwards = consistencyBetween(11, 11, { checkpoint: checkpointAt(9) })
    expect(verify(backwards)).toMatchObject(refusedAs('UNVERIFIED', 'covers 11 leaves, the newer one 9'))
    const other = consistencyBetween(11, 20, { checkpoint: checkpointAt(20, [oldKey], `${ORIGIN}/2`) })
    expect(verify(other)).toMatchObject(refusedAs('UNVERIFIED', 'two logs'))
  })

  it('is refused when either checkpoint is not signed by a known key, or the sizes disagree', () => {
    const unknown = checkpointAt(20, [newKey])
    expect(verify(consistencyBetween(11, 20, { checkpoint: unknown }))).toMatchObject(
      refusedAs('UNVERIFIED', 'the newer checkpoint: no known key'),
    )
    const old = checkpointAt(11, [newKey])
    expect(verify(consistencyBetween(11, 20, { oldCheckpoint: old }))).toMatchObject(
      refusedAs('UNVERIFIED', 'the older checkpoint: no known key'),
    )
    const shifted = consistencyBetween(11, 20, { oldCheckpoint: checkpointAt(12) })
    expect(verify(shifted)).toMatchObject(refusedAs('UNVERIFIED', 'another size'))
    const empty = consistencyBetween(11, 20, { oldCheckpoint: checkpointAt(0) }).replace('old 11', 'old 0')
    expect(verify(empty)).toMatchObject(refusedAs('UNVERIFIED', 'says nothing'))
    const hashes = consistencyBetween(11, 20).replace(/(old 11\n).*\n/, '$1')
    expect(verify(hashes)).toMatchObject(refusedAs('UNVERIFIED', 'hashes where these sizes need'))
  })

  it('is refused in malformed forms', () => {
    const file = consistencyBetween(11, 20)
    for (const spoiled of [
      file.replace('old 11', 'new 11'),
      file.replace('old 11', 'old 011'),
      file.replace('old 11\n', 'old 11\n?\n'),
      file.replace('\n\nold', '\nold'),
      `${file}\n\n`,
      file.slice(0, file.lastIndexOf('\n\n')),
    ])
      expect([spoiled, verify(spoiled)]).toMatchObject([spoiled, { fault: 'MALFORMED' }])
  })
})

describe('exported records', () => {
  it('are counted when every line has its leaf, and the first bad line is named', () => {
    const lines = [recordLineAt(0), recordLineAt(3), recordLineAt(4)]
    expect(verify(lines.join('\n'))).toMatchObject({ ok: true, value: { what: 'records', count: 3 } })
    const spoiled = [
      recordLineAt(0),
      recordLineAt(3),
      recordLineAt(6).replace('"offset":"1060"', '"offset":"1061"'),
    ]
    expect(verify(`${spoiled.join('\n')}\n`)).toMatchObject(refusedAs('UNVERIFIED', 'line 3'))
    expect(verify(`${lines.join('\n')}\n\n`)).toMatchObject(refusedAs('MALFORMED', 'line 4'))
  })

  it('may be many and large, other than checkpoints and proofs', () => {
    const count = Math.ceil((MAX_PROOF_BYTES + 1) / recordLineAt(3).length)
    const many = `${recordLineAt(3)}\n`.repeat(count)
    expect(verify(many)).toMatchObject({ ok: true, value: { what: 'records', count } })
    expect(verify(inclusionFile(3, 20), many).ok).toBe(true)
    const lengthened = `${checkpointAt(9)}${' '.repeat(MAX_PROOF_BYTES)}`
    expect(verify(lengthened)).toMatchObject(refusedAs('MALFORMED', `at most ${MAX_PROOF_BYTES} bytes`))
  })
})

describe('other files', () => {
  it('are refused in words', () => {
    for (const file of ['', '\n', 'hello', '\ufeff{}', 'c2sp.org/tlog-proof@v1'])
      expect([file, verify(file)]).toMatchObject([file, { fault: 'MALFORMED' }])
    const bytes = { file: Buffer.concat([Buffer.from([0xff]), Buffer.from(checkpointAt(9))]), trust }
    expect(verifyEvidence(bytes)).toMatchObject(refusedAs('MALFORMED', 'UTF-8'))
  })
})
