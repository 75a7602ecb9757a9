import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { type BadKindName, badKindOf, badKinds, makeBadRecord } from '../../bench/source/badRecords.ts'
import { makeEvent } from '../../bench/source/event.ts'
import { type Fate, generateBatches, type SourceOptions } from '../../bench/source/generator.ts'
import { mix, Random } from '../../bench/source/random.ts'
import { RecordBatchEncoder } from '../../bench/source/recordBatch.ts'
import { createDecoder, type Decoder } from '../../src/domain/decode.ts'

const options: SourceOptions = {
  seed: 7,
  events: 20_000,
  partitions: 4,
  recordsPerBatch: 500,
  badPercent: 1,
  duplicatePercent: 1,
  compression: true,
}

function fatesOf(source: SourceOptions): Map<Fate, number> {
  const fates = new Map<Fate, number>()
  for (const { records } of generateBatches(source))
    for (const { fate } of records) fates.set(fate, (fates.get(fate) ?? 0) + 1)
  return fates
}

function fingerprint(source: SourceOptions): string {
  const hash = createHash('sha256')
  const encoder = new RecordBatchEncoder()
  for (const { partition, codec, records } of generateBatches(source)) {
    hash.update(`${partition} ${codec} ${records.map(({ fate }) => fate).join()}`)
    hash.update(
      encoder.encode(
        records.map(({ record }) => record),
        'none',
      ),
    )
  }
  return hash.digest('hex')
}

describe('the generated input', () => {
  it('is a function of its options', () => {
    const small = { ...options, events: 3_000 }
    expect(fingerprint(small)).toBe(fingerprint(small))
    expect(fingerprint({ ...small, seed: 8 })).not.toBe(fingerprint(small))
  })

  it('has one bad record and one duplicate in each hundred, save where nothing was to duplicate', () => {
    const fates = fatesOf(options)
    const total = [...fates.values()].reduce((sum, count) => sum + count, 0)
    const refused = total - (fates.get('accepted') ?? 0)
    const duplicates = (fates.get('DUPLICATE_ID') ?? 0) + (fates.get('ID_CONFLICT') ?? 0)
    expect(total).toBe(options.events)
    expect(refused - duplicates).toBe(options.events / 100)
    expect(duplicates).toBeLessThanOrEqual(options.events / 100)
    expect(duplicates).toBeGreaterThan((options.events / 100) * 0.95)
  })

  it('can do without bad records and duplicates', () => {
    expect(fatesOf({ ...options, badPercent: 0, duplicatePercent: 0 })).toEqual(
      new Map([['accepted', options.events]]),
    )
  })

  it('uses every codec, and none most of the time', () => {
    const codecs = [...generateBatches(options)].map(({ codec }) => codec)
    expect(new Set(codecs)).toEqual(new Set(['none', 'gzip', 'snappy', 'lz4', 'zstd']))
    expect(codecs.filter((codec) => codec === 'none').length).toBeGreaterThan(codecs.length / 2)
  })

  it('holds every kind of bad record among the first few thousand', () => {
    const kinds = Array.from({ length: 30 }, (_, count) => badKindOf(count))
    expect(new Set(kinds)).toEqual(new Set(Object.keys(badKinds)))
  })

  it('makes events of about 370 bytes with ids that never repeat', () => {
    const events = Array.from({ length: 5_000 }, (_, index) => makeEvent(options.seed, index))
    const bytes = events.reduce((sum, event) => sum + Buffer.byteLength(JSON.stringify(event)), 0)
    expect(bytes / events.length).toBeGreaterThan(340)
    expect(bytes / events.length).toBeLessThan(420)
    expect(new Set(events.map(({ id }) => id)).size).toBe(events.length)
  })

  it('uses odd keys and headers: null, empty, four zero bytes, names that repeat, null values', () => {
    const records = [...generateBatches({ ...options, events: 2_000 })].flatMap((batch) => batch.records)
    const keys = records.map(({ record }) => record.key)
    expect(keys).toContain(null)
    expect(keys.some((key) => key?.length === 0)).toBe(true)
    expect(keys.some((key) => key?.equals(Buffer.alloc(4)))).toBe(true)
    const headers = records.map(({ record }) => record.headers)
    expect(headers.some((list) => list.length === 0)).toBe(true)
    expect(headers.some((list) => list.some(([, value]) => value === null))).toBe(true)
    expect(headers.some((list) => new Set(list.map(([name]) => name)).size < list.length)).toBe(true)
  })
})

describe('what the generator expects', () => {
  const decode: Decoder = createDecoder({ maxValueBytes: 1_048_576, fastPath: true })
  const verdict = (value: Buffer | null): string => {
    const decoded = value === null ? decode(Buffer.alloc(0), -1, -1) : decode(value, 0, value.length)
    return decoded.kind === 'event' ? 'accepted' : decoded.code
  }

  it.each(Object.keys(badKinds) as BadKindName[])('%s is refused for the reason given', (name) => {
    for (let index = 0; index < 50; index++) {
      const { value, headers } = makeBadRecord(3, index, name)
      if (name === 'made by a replay') expect(headers.some(([header]) => header === 'replay-id')).toBe(true)
      else expect(verdict(value)).toBe(badKinds[name].code)
    }
  })

  it('everything else is a valid event, and a duplicate has the id of an event before it in its partition', () => {
    const seen = Array.from({ length: options.partitions }, () => new Map<string, string>())
    for (const { partition, records } of generateBatches(options)) {
      for (const { record, fate } of records) {
        if (fate !== 'accepted' && fate !== 'DUPLICATE_ID' && fate !== 'ID_CONFLICT') continue
        const value = record.value ?? Buffer.alloc(0)
        const decoded = decode(value, 0, value.length)
        if (decoded.kind !== 'event') throw new Error(decoded.detail)
        const before = seen[partition]?.get(decoded.id)
        const expected =
          before === undefined ? 'accepted' : before === decoded.contentHash ? 'DUPLICATE_ID' : 'ID_CONFLICT'
        expect(fate).toBe(expected)
        if (before === undefined) seen[partition]?.set(decoded.id, decoded.contentHash)
      }
    }
  })
})

describe('the numbers', () => {
  it('are spread evenly and differ in every argument', () => {
    const random = new Random(1, 2)
    const counts = [0, 0, 0, 0]
    for (let draw = 0; draw < 40_000; draw++) {
      const at = random.below(4)
      counts[at] = (counts[at] ?? 0) + 1
    }
    for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(500)
    const all = [mix(1, 2, 3), mix(2, 2, 3), mix(1, 3, 3), mix(1, 2, 4), mix(1, 2 + 2 ** 32, 3)]
    expect(new Set(all).size).toBe(all.length)
  })

  it('make UUIDs of version 4', () => {
    const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/
    const random = new Random(1, 1)
    for (let draw = 0; draw < 1_000; draw++) expect(random.uuid()).toMatch(uuid)
  })
})
