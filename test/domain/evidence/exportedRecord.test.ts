import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type ExportedRecord,
  formatExportedRecord,
  parseExportedRecord,
} from '../../../src/domain/evidence/exportedRecord.ts'
import { hashToHex } from '../../../src/domain/hash.ts'
import { recordLeaf } from '../../../src/domain/leaf.ts'
import { offset } from '../../../src/domain/model.ts'
import { sourceRecords } from '../source-records.ts'
import { taken } from './keys.ts'
import { recordLineAt } from './sampleLog.ts'

const read = (name: string) =>
  JSON.parse(readFileSync(new URL(`../../vectors/${name}.json`, import.meta.url), 'utf8')) as {
    cases: { name: string; line: string; leaf: string }[]
  }
const lines = read('exported-records').cases
const leaves = read('leaves').cases

const line = recordLineAt(1)
/** The line with one member changed, in canonical order. */
const changed = (member: Readonly<Record<string, unknown>>, from = line): string =>
  JSON.stringify(
    Object.fromEntries(
      Object.entries({ ...JSON.parse(from), ...member })
        .filter(([, value]) => value !== undefined)
        .sort(([one], [other]) => (one < other ? -1 : 1)),
    ),
  )

describe('exported records', () => {
  it.each(lines)('are those of the vectors, in both directions: $name', ({ line: given, name }) => {
    const record = taken(parseExportedRecord(given))
    expect(hashToHex(record.leaf)).toBe(leaves.find((each) => each.name === name)?.leaf)
    expect(formatExportedRecord(record)).toBe(given)
  })

  it('keep every byte, for any record', () => {
    const bytes = fc.uint8Array({ maxLength: 60 }).map((array) => Buffer.from(array))
    const offsets = fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }).map(offset)
    const content = fc.record({
      kind: fc.constant('record' as const),
      offset: offsets,
      timestamp: fc.bigInt({ min: -1n, max: 2n ** 63n - 1n }),
      key: fc.option(bytes),
      headers: bytes,
      value: fc.option(bytes),
    })
    fc.assert(
      fc.property(content, fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }), (plain, leafIndex) => {
        const record: ExportedRecord = { origin: 'example.com/ü', leafIndex, content: plain }
        const found = taken(parseExportedRecord(formatExportedRecord(record)))
        expect(found).toEqual({ ...record, leaf: recordLeaf(sourceRecords([plain]), 0) })
      }),
    )
  })

  it('have one spelling', () => {
    expect(parseExportedRecord(changed({})).ok).toBe(true)
    const spellings = [
      ` ${line}`,
      `${line}\n`,
      line.replace('{', '{ '),
      line.replace('{"format"', '{"format":"x","format"'),
      line.replace('"kind"', '"\\u006bind"'),
      line.replace('"offset":"1010"', '"offset":"01010"'),
      line.replace('{', '{"OFFSET":"1010",'),
      changed({ more: 1 }),
      changed({ key: 'dC0' }),
      changed({ key: 'dC0x\n' }),
    ]
    for (const spelling of spellings)
      expect([spelling, parseExportedRecord(spelling)]).toMatchObject([spelling, { fault: 'MALFORMED' }])
  })

  it.each([
    ['another format', { format: 'streaming-ingest/record@v2' }, 'format'],
    ['no kind', { kind: undefined }, 'kind'],
    ['a number for an offset', { offset: 1010 }, 'offset'],
    ['a negative offset', { offset: '-1' }, 'offset'],
    ['an offset of more than 63 bits', { offset: '9223372036854775808' }, 'offset'],
    ['a timestamp of more than 64 bits', { timestamp: '9223372036854775808' }, 'timestamp'],
    ['a timestamp of −0', { timestamp: '-0' }, 'timestamp'],
    ['no headers', { headers: null }, 'headers'],
    ['URL-safe base64', { value: '_-8=' }, 'value'],
    ['a short leaf', { leaf: 'ab' }, 'leaf'],
    ['an origin of two lines', { origin: 'a\nb' }, 'origin'],
    ['members of a gap', { from: '1', to: '2' }, 'too many'],
    ['a dead letter without its reason', { deadLetter: { code: 'SCHEMA' } }, 'deadLetter.detail'],
    ['a time that is no integer', { ingestedAt: 1.5 }, 'ingestedAt'],
  ])('are refused with %s', (_name, member, named) => {
    const found = parseExportedRecord(changed(member))
    expect(found).toMatchObject({ fault: 'MALFORMED', detail: expect.stringContaining(named) })
  })

  it('show nothing beside the leaf of other bytes', () => {
    for (const member of [{ leaf: '0'.repeat(64) }, { offset: '1011' }, { value: null }, { key: '' }])
      expect(parseExportedRecord(changed(member))).toMatchObject({ fault: 'UNVERIFIED' })
  })

  it('are refused with limits that run backwards', () => {
    const gap = recordLineAt(3)
    expect(parseExportedRecord(changed({ to: '1030' }, gap))).toMatchObject({ fault: 'MALFORMED' })
    const batch = recordLineAt(4)
    expect(parseExportedRecord(changed({ lastOffset: '1' }, batch))).toMatchObject({ fault: 'MALFORMED' })
    expect(parseExportedRecord(changed({ deadLetter: { code: 'X', detail: '' } }, gap)).ok).toBe(false)
  })

  it('are refused when they are nothing of the kind, without an exception', () => {
    for (const text of ['', 'null', '[]', '{}', '1', '{"kind":"record"}', '"x"', '['.repeat(100_000)])
      expect(parseExportedRecord(text)).toMatchObject({ fault: 'MALFORMED' })
  })
})
