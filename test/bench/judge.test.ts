import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Comparison, type SeenRecord, type Verdict } from '../../bench/judge/compare.ts'
import { digestRecord } from '../../bench/judge/digest.ts'
import { FrameParser, frameBytes } from '../../bench/judge/frames.ts'
import { findJavaReader } from '../../bench/judge/javaReader.ts'
import { judge } from '../../bench/judge/judge.ts'
import { createKafkajsReader } from '../../bench/judge/kafkajsReader.ts'
import type { TopicReader } from '../../bench/judge/reader.ts'
import { RecordTable } from '../../bench/judge/table.ts'
import type { Headers, SourceRecord } from '../../bench/source/event.ts'
import { BatchProducer } from '../../bench/source/producer.ts'
import { RecordBatchEncoder } from '../../bench/source/recordBatch.ts'
import { testServers } from '../support/servers.ts'
import { TestKafka } from '../support/source.ts'

const sourceRecord = (index: number): SourceRecord => ({
  key: index === 3 ? null : Buffer.from(`key ${index}`),
  value: Buffer.from(`value ${index}`),
  headers: [
    ['a', Buffer.from(`${index}`)],
    ['b', null],
    ['a', Buffer.from('again')],
  ],
  timestamp: 1_760_000_000_000 + index,
})

/** Ten records on each of two partitions; those at offset 4 must not be replayed. */
const source = [0, 1].map((partition) =>
  Array.from({ length: 10 }, (_, offset) => sourceRecord(partition * 100 + offset)),
)
const isAccepted = (offset: number): boolean => offset !== 4

function tablesOf(): RecordTable[] {
  return source.map((records) => {
    const table = new RecordTable()
    records.forEach((record, offset) => {
      table.add(offset, digestRecord(record), isAccepted(offset))
    })
    return table
  })
}

interface Copy extends SourceRecord {
  readonly from: readonly [partition: number, offset: number]
}

/** What a faultless replay leaves on a target partition. */
const copiesOf = (partition: number): Copy[] =>
  (source[partition] ?? [])
    .map((record, offset): Copy => ({ ...record, from: [partition, offset] }))
    .filter(({ from }) => isAccepted(from[1]))

const withReplayHeaders = ({ headers, from }: Copy): Headers => [
  ...headers,
  ['replay-id', Buffer.from('r')],
  ['replay-source-topic', Buffer.from('t')],
  ['replay-source-partition', Buffer.from(`${from[0]}`)],
  ['replay-source-offset', Buffer.from(`${from[1]}`)],
  ['replay-event-hash', Buffer.from('00')],
]

/** Changes what is on target partition 0; the judge must see it. */
type Damage = (copies: Copy[]) => Copy[]
const at = (copies: Copy[], index: number): Copy => {
  const copy = copies[index]
  if (copy === undefined) throw new Error(`no copy ${index}`)
  return copy
}
const change =
  (index: number, changed: Partial<Copy>): Damage =>
  (copies) =>
    copies.with(index, { ...at(copies, index), ...changed })

const damages: readonly [name: string, damage: Damage, found: Partial<Verdict>][] = [
  ['nothing', (copies) => copies, {}],
  ['a missing record', (copies) => copies.toSpliced(5, 1), { missing: 1 }],
  ['the last one missing', (copies) => copies.slice(0, -1), { missing: 1 }],
  ['a doubled record', (copies) => copies.toSpliced(5, 0, at(copies, 4)), { doubled: 1 }],
  [
    'two swapped records',
    (copies) => copies.with(2, at(copies, 3)).with(3, at(copies, 2)),
    { outOfOrder: 1 },
  ],
  ['one byte of a value', change(6, { value: Buffer.from('valuf 7') }), { bytesDiffering: 1 }],
  ['one byte of a key', change(6, { key: Buffer.from('kex 7') }), { bytesDiffering: 1 }],
  ['an empty key instead of none', change(3, { key: Buffer.alloc(0) }), { bytesDiffering: 1 }],
  ['a null value', change(6, { value: null }), { bytesDiffering: 1 }],
  [
    'one byte of a header',
    change(6, {
      headers: [
        ['a', Buffer.from('8')],
        ['b', null],
        ['a', Buffer.from('again')],
      ],
    }),
    { bytesDiffering: 1 },
  ],
  [
    'headers in another order',
    change(6, {
      headers: [
        ['b', null],
        ['a', Buffer.from('7')],
        ['a', Buffer.from('again')],
      ],
    }),
    { bytesDiffering: 1 },
  ],
  ['a changed timestamp', change(6, { timestamp: 1_760_000_000_008 }), { bytesDiffering: 1 }],
  [
    'a record that was not accepted',
    (copies) => copies.toSpliced(4, 0, { ...sourceRecord(4), from: [0, 4] }),
    { foreign: 1 },
  ],
  [
    'a record of another partition',
    (copies) => [...copies, { ...sourceRecord(102), from: [1, 2] }],
    { doubled: 1, misplaced: 1 },
  ],
]

const clean: Partial<Verdict> = {
  missing: 0,
  doubled: 0,
  outOfOrder: 0,
  bytesDiffering: 0,
  misplaced: 0,
  foreign: 0,
}
const countsOf = ({ missing, doubled, outOfOrder, bytesDiffering, misplaced, foreign }: Verdict) => ({
  missing,
  doubled,
  outOfOrder,
  bytesDiffering,
  misplaced,
  foreign,
})

describe('comparing', () => {
  function compare(target: readonly (readonly Copy[])[], known = true): Verdict {
    const comparison = new Comparison(tablesOf())
    target.forEach((copies, partition) => {
      copies.forEach((copy, offset) => {
        const [sourcePartition, sourceOffset] = known ? copy.from : [-1, -1]
        const from = { sourcePartition, sourceOffset, replay: 0n, sourceTopic: 0n, eventHash: 0n }
        const seen: SeenRecord = { ...digestRecord(copy), partition, offset, ...from }
        comparison.add(seen)
      })
    })
    return comparison.verdict()
  }

  it.each(damages)('sees %s', (_name, damage, found) => {
    const verdict = compare([damage(copiesOf(0)), copiesOf(1)])
    expect(countsOf(verdict)).toEqual({ ...clean, ...found })
    expect(verdict.examples.length > 0).toBe(Object.keys(found).length > 0)
  })

  it('sees a whole partition missing', () => {
    expect(countsOf(compare([copiesOf(0)]))).toEqual({ ...clean, missing: 9 })
  })

  it('sees a record on the wrong partition', () => {
    const [moved, ...rest] = copiesOf(0)
    if (moved === undefined) throw new Error('no copies')
    expect(countsOf(compare([rest, [moved, ...copiesOf(1)]]))).toEqual({ ...clean, misplaced: 1 })
  })

  it('knows copies by their content when a replay adds no headers', () => {
    expect(countsOf(compare([copiesOf(0), copiesOf(1)], false))).toEqual(clean)
    const doubled = [...copiesOf(0), at(copiesOf(0), 0)]
    expect(countsOf(compare([doubled, copiesOf(1)], false))).toEqual({ ...clean, doubled: 1 })
    const changed = change(6, { value: Buffer.from('other') })(copiesOf(0))
    expect(countsOf(compare([changed, copiesOf(1)], false))).toEqual({ ...clean, missing: 1, foreign: 1 })
  })
})

describe('frames', () => {
  it('complain about a stream that was cut', () => {
    const parser = new FrameParser({ onRecord: () => undefined, onEnd: () => undefined })
    parser.push(Buffer.alloc(frameBytes + 10))
    expect(() => parser.finish()).toThrow('in the middle')
  })
})

const javaReader = await findJavaReader(testServers().kafkaClasspath)
const readers: readonly [string, TopicReader | null][] = [
  ['Java', javaReader],
  ['kafkajs', createKafkajsReader()],
]

describe.each(readers)('judging real topics with %s', (_name, reader) => {
  let kafka: TestKafka
  let sourceTopic: string
  beforeAll(async () => {
    kafka = await TestKafka.connect()
    sourceTopic = await kafka.topic(2)
    await produce(sourceTopic, source)
  })
  afterAll(() => kafka.close())

  async function produce(topic: string, partitions: readonly (readonly SourceRecord[])[]): Promise<void> {
    const producer = await BatchProducer.connect(kafka.admin, topic)
    const encoder = new RecordBatchEncoder()
    try {
      for (const [partition, records] of partitions.entries()) {
        if (records.length === 0) continue
        await producer.send(partition, encoder.encode(records, 'zstd'))
      }
    } finally {
      producer.close()
    }
  }

  async function judged(target: string) {
    if (reader === null) throw new Error('no reader')
    const topics = { brokers: testServers().kafkaBrokers, source: sourceTopic, target }
    return judge(reader, topics, tablesOf(), AbortSignal.timeout(50_000))
  }

  const produceCopies = (target: string, copies: readonly (readonly Copy[])[]): Promise<void> =>
    produce(
      target,
      copies.map((list) => list.map((copy) => ({ ...copy, headers: withReplayHeaders(copy) }))),
    )

  it.skipIf(reader === null)('finds nothing wrong with a faultless copy', async () => {
    const target = await kafka.topic(2)
    await produceCopies(target, [copiesOf(0), copiesOf(1)])
    const { target: verdict, sourceDiffering, clean: isClean } = await judged(target)
    expect({ ...countsOf(verdict), sourceDiffering, isClean }).toEqual({
      ...clean,
      sourceDiffering: 0,
      isClean: true,
    })
  })

  it.skipIf(reader === null)('sees every kind of damage', async () => {
    const target = await kafka.topic(2)
    const shuffled = copiesOf(0)
      .slice(0, -1)
      .with(2, at(copiesOf(0), 3))
      .with(3, at(copiesOf(0), 2))
    const changed = [
      change(0, { value: Buffer.from('valuf 100') }),
      change(1, { key: Buffer.from('key 10\u0000') }),
      change(2, { headers: sourceRecord(102).headers.toReversed() }),
      change(3, { timestamp: 1_760_000_000_104 }),
      change(5, { headers: sourceRecord(106).headers.slice(1) }),
    ].reduce((copies, damage) => damage(copies), copiesOf(1))
    await produceCopies(target, [shuffled.toSpliced(6, 0, at(shuffled, 5)), changed])
    const { target: verdict, clean: isClean } = await judged(target)
    const found = { missing: 1, doubled: 1, outOfOrder: 1, bytesDiffering: 5 }
    expect(countsOf(verdict)).toEqual({ ...clean, ...found })
    expect(verdict.differing).toEqual({ timestamp: 1, key: 1, headers: 2, value: 1, origin: 0 })
    expect(isClean).toBe(false)
  })

  it.skipIf(reader === null)('does not count what a transaction aborted', async () => {
    const target = await kafka.topic(2)
    await produceCopies(target, [copiesOf(0), copiesOf(1)])
    const transactional = kafka.kafka.producer({ transactionalId: target, maxInFlightRequests: 1 })
    await transactional.connect()
    for (const end of ['abort', 'commit'] as const) {
      const transaction = await transactional.transaction()
      const value = Buffer.from(end)
      await transaction.send({ topic: target, messages: [{ partition: 0, key: Buffer.alloc(4), value }] })
      await transaction[end]()
    }
    await transactional.disconnect()
    const { target: verdict } = await judged(target)
    expect(countsOf(verdict)).toEqual({ ...clean, foreign: 1 })
    expect(verdict.records).toBe(19)
  })

  it.skipIf(reader === null)('sees a source that is not what was produced', async () => {
    const target = await kafka.topic(2)
    await produceCopies(target, [copiesOf(0), copiesOf(1)])
    const other = await kafka.topic(2)
    await produce(other, [[sourceRecord(0), sourceRecord(77)], []])
    if (reader === null) throw new Error('no reader')
    const topics = { brokers: testServers().kafkaBrokers, source: other, target }
    const { sourceDiffering, clean: isClean } = await judge(reader, topics, tablesOf())
    // One of another content, eighteen missing.
    expect([sourceDiffering, isClean]).toEqual([19, false])
  })
})
