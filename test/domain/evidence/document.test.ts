import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { MAX_NOTE_BYTES, MAX_SIGNATURES } from '../../../src/domain/evidence/note.ts'
import { parseVerifierKey } from '../../../src/domain/evidence/noteKeys.ts'
import { MAX_EXTRA_LINE_BYTES } from '../../../src/domain/evidence/tlogProof.ts'
import { verifyEvidence } from '../../../src/domain/evidence/verifyEvidence.ts'
import {
  checkSignature,
  EVENT_PAYLOAD_TYPE,
  MAX_EVENT_SIGNATURES,
} from '../../../src/domain/producerSignature.ts'
import { MAX_DETAIL_LENGTH } from '../../../src/domain/rejection.ts'
import { taken, testKey } from './keys.ts'

const specification = readFileSync(new URL('../../../docs/evidence.md', import.meta.url), 'utf8')
const vector = (name: string): Buffer =>
  readFileSync(new URL(`../../vectors/evidence/${name}`, import.meta.url))

/** As an indented block of the document. */
const block = (text: string): string =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => (line === '' ? '' : `    ${line}`))
    .join('\n')

const shown = ['verifier-key', 'checkpoint', 'record.json', 'leaf-0.tlog-proof', '1-to-3.consistency-proof']
const key = taken(parseVerifierKey(vector('verifier-key').toString().trimEnd()))
const trust = { keys: [key] }
const verify = (name: string, event?: Buffer) =>
  verifyEvidence({ file: vector(name), trust, ...(event !== undefined && { event }) })

describe('docs/evidence.md on notes and proofs', () => {
  it.each(shown)('shows the file of the vectors: %s', (name) => {
    expect(specification).toContain(`\n\n${block(vector(name).toString())}\n\n`)
  })

  it('shows files that are true', () => {
    expect(testKey('example.com/ingest', 1).verifierKey.text).toBe(key.text)
    expect(verify('checkpoint')).toMatchObject({ ok: true, value: { what: 'checkpoint' } })
    const event = vector('record.json')
    expect(verify('leaf-0.tlog-proof', event)).toMatchObject({ ok: true, value: { what: 'inclusion' } })
    expect(verify('leaf-0-carried.tlog-proof')).toMatchObject({ ok: true, value: { what: 'inclusion' } })
    expect(verify('1-to-3.consistency-proof')).toMatchObject({ ok: true, value: { what: 'consistency' } })
    expect(verify('record.json')).toMatchObject({ ok: true, value: { what: 'records', count: 1 } })
  })

  it("shows a producer's signature that is good", () => {
    const { verifierKey, canonical, signature } = JSON.parse(vector('producer-signature.json').toString())
    for (const text of [verifierKey, canonical, signature])
      expect(specification).toContain(`\n\n    ${text}\n\n`)
    const keys = [taken(parseVerifierKey(verifierKey))]
    expect(checkSignature({ policy: 'require', keys }, signature, canonical)).toMatchObject({ ok: true })
    expect(specification).toContain(`"DSSEv1 ${EVENT_PAYLOAD_TYPE.length} ${EVENT_PAYLOAD_TYPE} "`)
  })

  it('names the limits that the code has', () => {
    for (const limit of [MAX_EXTRA_LINE_BYTES, MAX_NOTE_BYTES, MAX_DETAIL_LENGTH])
      expect(specification).toContain(limit.toLocaleString('en-US'))
    expect(specification).toContain(`at most ${MAX_SIGNATURES} signatures`)
    expect(specification).toContain(`at most ${MAX_EVENT_SIGNATURES}.`)
  })
})
