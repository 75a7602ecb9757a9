import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { preAuthEncoding } from '../../src/domain/dsse.ts'
import { formatCheckpoint, signCheckpoint } from '../../src/domain/evidence/checkpointNote.ts'
import { formatExportedRecord, leafOf } from '../../src/domain/evidence/exportedRecord.ts'
import { signNote } from '../../src/domain/evidence/note.ts'
import { parseVerifierKey, type SigningKey } from '../../src/domain/evidence/noteKeys.ts'
import { fitsExtra, formatTlogProof } from '../../src/domain/evidence/tlogProof.ts'
import { type Evidence, verifyEvidence } from '../../src/domain/evidence/verifyEvidence.ts'
import { offset } from '../../src/domain/model.ts'
import { checkSignature, EVENT_PAYLOAD_TYPE, producerKeyId } from '../../src/domain/producerSignature.ts'
import { taken } from '../domain/evidence/keys.ts'
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
} from '../domain/evidence/sampleLog.ts'
import { bytesDamaged, linesDamaged } from './damage.ts'
import { buildGoVerifier, goMissing, judgeWithGo } from './goVerifier.ts'

interface Case {
  readonly file: Buffer
  readonly event?: Buffer
  readonly keys: readonly string[]
  readonly origin?: string
}

const ours = [oldKey.verifierKey.text]
const of = (file: string, event?: string, keys: readonly string[] = ours): Case => ({
  file: Buffer.from(file),
  ...(event !== undefined && { event: Buffer.from(event) }),
  keys,
})

function verdictOf({ file, event, keys, origin }: Case) {
  const trust = {
    keys: keys.map((key) => taken(parseVerifierKey(key))),
    ...(origin !== undefined && { origin }),
  }
  const evidence: Evidence = { file, trust, ...(event !== undefined && { event }) }
  return verifyEvidence(evidence)
}

const all = Array.from({ length: LEAVES }, (_, index) => `${recordLineAt(index)}\n`).join('')
const vectors = JSON.parse(
  readFileSync(new URL('../vectors/exported-records.json', import.meta.url), 'utf8'),
) as { cases: { line: string }[] }

const vector = (name: string): string =>
  readFileSync(new URL(`../vectors/evidence/${name}`, import.meta.url), 'utf8')

/** The files that docs/evidence.md shows. */
function* shownCases(): Generator<Case> {
  const keys = [vector('verifier-key').trimEnd()]
  yield of(vector('checkpoint'), undefined, keys)
  yield of(vector('leaf-0.tlog-proof'), vector('record.json'), keys)
  yield of(vector('leaf-0-carried.tlog-proof'), undefined, keys)
  yield of(vector('1-to-3.consistency-proof'), undefined, keys)
  yield of(vector('record.json'), undefined, keys)
}

/** A proof that carries a record whose value has so many bytes; whether it fits is for the caller to know. */
function carrying(valueBytes: number): Case & { readonly fits: boolean } {
  const headers = Buffer.from([0])
  const value = Buffer.alloc(valueBytes)
  const record = { kind: 'record', offset: offset(0n), timestamp: -1n, key: null, headers, value } as const
  const root = leafOf(record)
  const extra = Buffer.from(formatExportedRecord({ origin: ORIGIN, leafIndex: 0n, content: record }))
  const checkpoint = signCheckpoint({ origin: ORIGIN, size: 1n, root, extensions: [] }, [oldKey])
  return { ...of(formatTlogProof({ extra, index: 0n, hashes: [], checkpoint })), fits: fitsExtra(extra) }
}

/** Everything that is right: every leaf and pair of sizes, both ways to hand an event over, both keys of an overlap. */
function* goodCases(): Generator<Case> {
  for (let size = 1; size <= LEAVES; size++) {
    yield of(checkpointAt(size, [oldKey, newKey, witnessKey]))
    for (let index = 0; index < size; index++) {
      yield of(inclusionFile(index, size), recordLineAt(index))
      yield of(consistencyBetween(index + 1, size))
    }
  }
  yield of(inclusionFile(4, 20, { carried: true }))
  yield of(inclusionFile(11, 20), all)
  yield of(checkpointAt(20, [oldKey, newKey]), undefined, [newKey.verifierKey.text])
  yield { ...of(checkpointAt(20, [foreignKey]), undefined, [foreignKey.verifierKey.text]), origin: ORIGIN }
  yield of(
    signNote(formatCheckpoint({ origin: ORIGIN, size: 9n, root: rootAt(9), extensions: ['x', 'y'] }), [
      oldKey,
    ]),
  )
  yield of(all)
  yield* shownCases()
  for (const { line } of vectors.cases) yield of(line, undefined, [])
}

/** Everything is signed and well written, and does not show what it says. */
function* untrueCases(): Generator<Case> {
  yield of(checkpointAt(20, [foreignKey]), undefined, [foreignKey.verifierKey.text])
  yield of(checkpointAt(20, [newKey]))
  yield of(checkpointAt(20), undefined, [])
  yield { ...of(checkpointAt(20)), origin: `${ORIGIN}/2` }
  yield of(checkpointAt(20, [oldKey], 'example.com/ingested'))
  yield of(signNote('This is an example message.\n', [oldKey]))
  yield of(signNote(`${ORIGIN}\n09\n${Buffer.alloc(32).toString('base64')}\n`, [oldKey]))
  yield of(signNote(`${ORIGIN}\n9\n${Buffer.alloc(31).toString('base64')}\n`, [oldKey]))
  yield of(signNote(`${ORIGIN}\n9\n${Buffer.alloc(32).toString('base64')}\n\nx\n`, [oldKey]))
  yield of(inclusionFile(11, 20), recordLineAt(12))
  yield of(inclusionFile(11, 20))
  yield of(inclusionFile(11, 20, { checkpoint: checkpointAt(11) }), recordLineAt(11))
  yield of(inclusionFile(11, 20, { checkpoint: checkpointAt(19) }), recordLineAt(11))
  yield of(inclusionFile(11, 20), [recordLineAt(1), recordLineAt(2)].join('\n'))
  yield of(inclusionFile(11, 20, { checkpoint: checkpointAt(20, [oldKey], `${ORIGIN}/2`) }), recordLineAt(11))
  yield of(consistencyBetween(11, 20, { checkpoint: checkpointAt(21) }))
  yield of(consistencyBetween(11, 20, { oldCheckpoint: checkpointAt(12) }))
  yield of(consistencyBetween(11, 20, { checkpoint: checkpointAt(20, [oldKey], `${ORIGIN}/2`) }))
  yield of(consistencyBetween(11, 11, { checkpoint: checkpointAt(9) }))
  yield of(consistencyBetween(1, 20, { oldCheckpoint: checkpointAt(0) }).replace('old 1\n', 'old 0\n'))
  for (const text of ['', '{}', 'null', 'hello\n', 'c2sp.org/tlog-proof@v1\n', all.slice(0, -9)])
    yield of(text)
}

/** The same signature line twice is allowed. */
const isDamaged = (file: Buffer, good: Buffer): boolean =>
  !file.equals(good) && !/\n(— .*\n)\1/.test(file.toString())

const damageOf = (good: Case): Case[] =>
  [...bytesDamaged(good.file), ...linesDamaged(good.file)]
    .filter((file) => isDamaged(file, good.file))
    .map((file) => ({ ...good, file }))

/** Damage to files in which every byte counts, and to the event beside a proof. */
function damagedCases(): Case[] {
  const proof = of(inclusionFile(11, 20), recordLineAt(11))
  return [
    ...damageOf(of(checkpointAt(20))),
    ...damageOf(proof),
    ...damageOf(of(inclusionFile(1, 6, { carried: true }))),
    ...damageOf(of(consistencyBetween(11, 20, { checkpoint: checkpointAt(20) }))),
    ...[...bytesDamaged(Buffer.from(recordLineAt(11)))].map((event) => ({ ...proof, event })),
  ]
}

/** Damage that may do no harm: to signatures that nobody needs, and to what no leaf covers. */
function damagedElsewhere(): Case[] {
  const records = [2, 3, 4].map(recordLineAt).join('\n')
  return [...damageOf(of(checkpointAt(20, [oldKey, newKey, witnessKey]))), ...damageOf(of(records))]
}

const missing = goMissing()
if (missing !== null) console.warn(`skipped: verifiers that others wrote (${missing})`)

const title = `verifiers that others wrote${missing === null ? '' : ` (${missing})`}`

describe.skipIf(missing !== null)(title, () => {
  let folder: string
  let program: string
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'evidence-go-'))
    program = await buildGoVerifier(folder)
  }, 300_000)
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  /** Both verdicts of each case, and the cases where they differ. */
  async function judged(cases: readonly Case[]) {
    const theirs = await judgeWithGo(program, cases)
    const mine = cases.map(verdictOf)
    const differences = cases.flatMap((each, index) => {
      const [one, other] = [mine[index], theirs[index]]
      return one?.ok === other?.ok
        ? []
        : [{ file: each.file.toString(), event: each.event?.toString(), one, other }]
    })
    return { differences, accepted: mine.filter((verdict) => verdict.ok).length }
  }

  it('take every file that is right', async () => {
    const cases = [...goodCases()]
    const { differences, accepted } = await judged(cases)
    expect(differences).toEqual([])
    expect(accepted).toBe(cases.length)
    expect(cases.length).toBeGreaterThan(500)
  })

  it('read what a proof carries as far as it is said to fit', async () => {
    let bytes = 36_000
    while (carrying(bytes + 1).fits) bytes++
    const cases = [carrying(bytes), carrying(bytes + 1)]
    expect(cases.map((each) => [each.fits, verdictOf(each).ok])).toEqual([
      [true, true],
      [false, true],
    ])
    const theirs = await judgeWithGo(program, cases)
    expect(theirs.map((verdict) => verdict.ok)).toEqual([true, false])
  })

  it('refuse every file that shows nothing', async () => {
    expect(await judged([...untrueCases()])).toEqual({ differences: [], accepted: 0 })
  })

  it('refuse every file with any byte or line damaged', async () => {
    const cases = damagedCases()
    expect(await judged(cases)).toEqual({ differences: [], accepted: 0 })
    expect(cases.length).toBeGreaterThan(8_000)
  })

  it('come to the same verdict where damage may do no harm', async () => {
    const cases = damagedElsewhere()
    const { differences, accepted } = await judged(cases)
    expect(differences).toEqual([])
    expect([accepted > 100, accepted < cases.length / 3]).toEqual([true, true])
  })

  it("come to the same verdict on producers' signatures", async () => {
    const canonical = '{"classification":"UNCLASSIFIED","data":{"ä":1},"v":1}'
    const payload = Buffer.from(canonical)
    const message = preAuthEncoding(EVENT_PAYLOAD_TYPE, payload)
    const sign = (key: SigningKey, over = message) => ({
      keyid: producerKeyId(key.verifierKey),
      sig: key.sign(over).toString('base64'),
    })
    const envelope = (signatures: readonly object[], payloadType = EVENT_PAYLOAD_TYPE) =>
      JSON.stringify({ payloadType, signatures })
    const good = sign(oldKey)
    const signatures = [
      envelope([good]),
      envelope([{ sig: good.sig }]),
      envelope([{ ...good, sig: good.sig.replaceAll('+', '-').replaceAll('/', '_') }]),
      envelope([sign(foreignKey), good]),
      envelope([sign(newKey, payload), good]),
      envelope([sign(foreignKey)]),
      envelope([{ ...good, keyid: producerKeyId(newKey.verifierKey) }]),
      envelope([{ ...sign(foreignKey), keyid: good.keyid }]),
      envelope([sign(oldKey, payload)]),
      envelope([sign(oldKey, preAuthEncoding('application/json', payload))], 'application/json'),
      envelope([good], 'application/json'),
      envelope([{ ...good, sig: good.sig.slice(1) }]),
      envelope([]),
      '{}',
      'x',
    ]
    const keys = [oldKey.verifierKey, newKey.verifierKey]
    const known = keys.map((key) => key.text)
    const theirs = await judgeWithGo(
      program,
      signatures.map((signature) => ({ signature, payload, keys: known })),
    )
    const mine = signatures.map(
      (signature) => checkSignature({ policy: 'require', keys }, signature, canonical).ok,
    )
    expect(mine).toEqual(signatures.map((_, index) => index < 5))
    expect(theirs.map((verdict) => verdict.ok)).toEqual(mine)
  })
})
