import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { KafkaFault } from '../../src/kafka/faults.ts'
import { RecordBatchEncoder } from '../../src/kafka/record-batch-encoder.ts'
import { nextSequence } from '../../src/kafka/record-batch-layout.ts'
import { openSourceBatch } from '../../src/kafka/source-batch.ts'
import { fetched, partsOf, recordsIn, storedBatch, undecodableIn } from './record-sets.ts'
import { type PlainRecord, record, sourceRecords, wireHeaders } from './records.ts'

const bytes = fc.uint8Array({ maxLength: 200 }).map((array) => Buffer.from(array))
const header = fc.tuple(fc.string({ unit: 'binary', maxLength: 20 }), fc.option(bytes))
const timestamp = fc.oneof(
  fc.bigInt({ min: 1_600_000_000_000n, max: 1_900_000_000_000n }),
  fc.constantFrom(-1n, 0n, 1n, -5n, 2n ** 51n, -(2n ** 51n), 2n ** 63n - 1n, -(2n ** 63n)),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
)
const plainRecord = fc.record({
  offset: fc.constant(0n),
  timestamp,
  key: fc.option(bytes),
  value: fc.option(bytes),
  headers: fc.array(header, { maxLength: 4 }),
})
const plainList = fc
  .array(plainRecord, { minLength: 1, maxLength: 30 })
  .map((list): PlainRecord[] => list.map((given, i) => ({ ...given, offset: BigInt(i) })))

const inWireForm = (records: readonly PlainRecord[]) =>
  records.map((given) => ({ ...given, headers: wireHeaders(given.headers) }))

describe('what the encoder writes the decoder reads', () => {
  test('keys, values, headers and timestamps come back byte for byte, whatever they are', async () => {
    await fc.assert(
      fc.asyncProperty(plainList, async (records) => {
        const read = recordsIn(await partsOf(fetched(storedBatch(records))))
        expect(read).toEqual(inWireForm(records))
      }),
    )
  })

  test('a page is cut into batches within the limit, in order, without loss', async () => {
    const encoder = new RecordBatchEncoder()
    await fc.assert(
      fc.asyncProperty(plainList, fc.integer({ min: 100, max: 3_000 }), async (records, maxBytes) => {
        const page = { records: sourceRecords(records), selected: null, headersOf: null }
        const owner = { producerId: 1n, producerEpoch: 0, firstSequence: 0, transactional: true }
        const sets: Buffer[] = []
        for (let position = 0; position < records.length; ) {
          const batch = encoder.encode(page, position, { maxBytes, maxCount: 1_000 }, owner)
          expect(batch.count === 1 || batch.bytes.length <= maxBytes).toBe(true)
          const stored = Buffer.from(batch.bytes)
          stored.writeBigInt64BE(BigInt(position), 0)
          sets.push(stored)
          position += batch.count
        }
        expect(recordsIn(await partsOf(fetched(Buffer.concat(sets))))).toEqual(inWireForm(records))
      }),
    )
  })

  test('a selection with other headers keeps the rest of each record', async () => {
    const records = [0n, 1n, 2n, 3n].map((offset) => record(offset, { headers: [['old', null]] }))
    const added = wireHeaders([['replay-id', Buffer.from('r')]])
    const page = {
      records: sourceRecords(records),
      selected: Int32Array.of(1, 3),
      headersOf: (index: number) => (index === 3 ? added : wireHeaders([])),
    }
    const owner = { producerId: 1n, producerEpoch: 0, firstSequence: 0, transactional: false }
    const { bytes: batch } = new RecordBatchEncoder().encode(page, 0, { maxBytes: 1e6, maxCount: 9 }, owner)
    const read = recordsIn(await partsOf(fetched(Buffer.from(batch))))
    expect(read.map(({ value }) => value?.toString())).toEqual(['value 1', 'value 3'])
    expect(read.map(({ headers }) => headers)).toEqual([wireHeaders([]), added])
  })

  test('sequence numbers wrap from 2^31 − 1 to 0 as on the broker', () => {
    expect(nextSequence(0, 5)).toBe(5)
    expect(nextSequence(2 ** 31 - 6, 5)).toBe(2 ** 31 - 1)
    expect(nextSequence(2 ** 31 - 5, 5)).toBe(0)
    expect(nextSequence(2 ** 31 - 1, 5)).toBe(4)
  })
})

describe('record sets', () => {
  const three = [record(0n), record(1n), record(2n)]

  test('a set cut off by the fetch limit gives its whole batches, wherever it is cut', async () => {
    const first = storedBatch(three)
    const set = Buffer.concat([first, storedBatch(three, { baseOffset: 3 })])
    for (let length = 0; length < set.length; length++) {
      const batch = openSourceBatch(fetched(set.subarray(0, length)))
      expect(batch.nextOffset).toBe(length < first.length ? 0n : 3n)
    }
    expect(openSourceBatch(fetched(set)).nextOffset).toBe(6n)
  })

  test('records before the offset that was asked for are left out', async () => {
    const batch = fetched(storedBatch(three, { baseOffset: 10 }), { fetchedOffset: '11' })
    expect(recordsIn(await partsOf(batch)).map(({ offset }) => offset)).toEqual([11n, 12n])
    expect(openSourceBatch(batch)).toMatchObject({
      fetchedOffset: 11n,
      nextOffset: 13n,
      highWatermark: 1000n,
    })
  })

  test('a batch that compaction emptied moves the position to its end', async () => {
    const batch = fetched(storedBatch([], { baseOffset: 5, lastOffsetDelta: 94, leaderEpoch: 7 }), {
      fetchedOffset: '5',
    })
    expect(openSourceBatch(batch)).toMatchObject({ nextOffset: 100n, leaderEpoch: 7 })
    expect(await partsOf(batch)).toEqual([])
  })

  test('holes that compaction left keep the offsets of the others', async () => {
    const payload = Buffer.concat([0, 2].map((delta) => Buffer.from([2 * 6, 0, 0, 2 * delta, 1, 1, 0])))
    const set = storedBatch([], { baseOffset: 40, lastOffsetDelta: 5, count: 2, payload })
    expect(recordsIn(await partsOf(fetched(set))).map(({ offset }) => offset)).toEqual([40n, 42n])
    expect(openSourceBatch(fetched(set)).nextOffset).toBe(46n)
  })

  test('with LogAppendTime every record has the time of the append', async () => {
    const set = storedBatch(three, { attributes: 0x08, maxTimestamp: 1_777n })
    expect(recordsIn(await partsOf(fetched(set))).map((given) => given.timestamp)).toEqual([
      1_777n,
      1_777n,
      1_777n,
    ])
  })

  test('many tiny uncompressed batches come as few parts', async () => {
    const sets = Array.from({ length: 500 }, (_, i) => storedBatch([record(0n)], { baseOffset: i }))
    const parts = await partsOf(fetched(Buffer.concat(sets)))
    expect(parts).toHaveLength(1)
    expect(recordsIn(parts).map(({ offset }) => offset)).toEqual(sets.map((_, i) => BigInt(i)))
  })

  test('a batch of very many records comes in parts of bounded size', async () => {
    const count = 50_000
    const one = (delta: number): Buffer => {
      const zigzag = 2 * delta
      const varint = [zigzag & 127, (zigzag >> 7) & 127, zigzag >> 14]
      const wide = Buffer.from([(varint[0] ?? 0) | 128, (varint[1] ?? 0) | 128, varint[2] ?? 0])
      return Buffer.concat([Buffer.from([2 * 8, 0, 0]), wide, Buffer.from([1, 1, 0])])
    }
    const payload = Buffer.concat(Array.from({ length: count }, (_, i) => one(i)))
    const parts = await partsOf(fetched(storedBatch([], { count, lastOffsetDelta: count - 1, payload })))
    expect(parts.length).toBeGreaterThan(2)
    const offsets = parts.flatMap((part) => (part.kind === 'records' ? [...part.records.offsets] : []))
    expect(offsets).toEqual(Array.from({ length: count }, (_, i) => BigInt(i)))
  })

  test('a wrong CRC is a fault that passes, not data', () => {
    const set = storedBatch(three)
    set[set.length - 3] = (set[set.length - 3] ?? 0) ^ 1
    expect(() => openSourceBatch(fetched(set))).toThrow(KafkaFault)
    expect(() => openSourceBatch(fetched(set))).toThrow(/CORRUPT_MESSAGE: CRC at offset 0/)
  })

  test('old message formats are refused by name, at their own offset', async () => {
    const old = Buffer.alloc(34)
    old.writeBigInt64BE(77n, 0)
    old.writeInt32BE(22, 8)
    old[16] = 1
    old.writeBigInt64BE(1_234n, 18)
    const parts = await partsOf(fetched(Buffer.concat([old, storedBatch([record(0n)], { baseOffset: 78 })])))
    expect(undecodableIn(parts)).toEqual([
      {
        firstOffset: 77n,
        lastOffset: 77n,
        timestamp: 1_234n,
        bytes: old,
        detail: 'message format v1 is not supported',
      },
    ])
    expect(recordsIn(parts)).toHaveLength(1)
  })
})

describe('malformed records', () => {
  const good = storedBatch([record(0n), record(1n, { headers: [['h', Buffer.from('v')]] })]).subarray(61)
  const batchOf = (payload: Buffer, count = 2) =>
    storedBatch([], { baseOffset: 1, lastOffsetDelta: 9, count, payload, maxTimestamp: 99n })

  const cases: [string, Buffer][] = [
    ['too few records', batchOf(good, 3)],
    ['too many records', batchOf(good, 1)],
    ['a negative count', batchOf(good, -1)],
    ['an absurd count', batchOf(good, 2 ** 31 - 1)],
    ['bytes after the last record', batchOf(Buffer.concat([good, Buffer.from([0])]))],
    ['a cut record', batchOf(good.subarray(0, good.length - 1))],
    [
      'an offset twice',
      batchOf(Buffer.concat([1, 1].map((delta) => Buffer.from([12, 0, 0, 2 * delta, 1, 1, 0])))),
    ],
    ['an offset beyond the batch', batchOf(Buffer.from([12, 0, 0, 20, 1, 1, 0]), 1)],
    ['a header list that ends too late', batchOf(Buffer.from([12, 0, 0, 0, 1, 1, 2]), 1)],
    ['an endless number', batchOf(Buffer.alloc(30, 0xff), 1)],
  ]

  test.each(cases)('%s: the batch is handed over whole', async (_name, stored) => {
    const before = storedBatch([record(0n)])
    const after = storedBatch([record(0n)], { baseOffset: 11 })
    const parts = await partsOf(fetched(Buffer.concat([before, stored, after])))
    expect(parts.map(({ kind }) => kind)).toEqual(['records', 'undecodable', 'records'])
    const [batch] = undecodableIn(parts)
    expect(batch).toMatchObject({ firstOffset: 1n, lastOffset: 10n, timestamp: 99n, bytes: stored })
    expect(batch?.detail).not.toBe('')
    expect(recordsIn(parts).map(({ offset }) => offset)).toEqual([0n, 11n])
  })

  test('it is handed over under its own offset when reading began inside it, and not at all when it lies before', async () => {
    const stored = batchOf(good, 3)
    const inside = await partsOf(fetched(stored, { fetchedOffset: '5' }))
    expect(undecodableIn(inside)).toMatchObject([{ firstOffset: 1n, lastOffset: 10n }])
    expect(await partsOf(fetched(stored, { fetchedOffset: '11' }))).toEqual([])
  })

  test('any bytes with a right CRC are read or refused, never thrown over', async () => {
    const payload = fc.uint8Array({ maxLength: 120 }).map((array) => Buffer.from(array))
    await fc.assert(
      fc.asyncProperty(
        payload,
        fc.integer({ min: -1, max: 20 }),
        fc.integer({ min: 0, max: 7 }),
        async (random, count, attributes) => {
          const set = storedBatch([], { count, payload: random, attributes, lastOffsetDelta: 20 })
          const parts = await partsOf(fetched(set))
          expect(recordsIn(parts).length === count || undecodableIn(parts).length === 1).toBe(true)
        },
      ),
      { numRuns: 500 },
    )
  })
})
