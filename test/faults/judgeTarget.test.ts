import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Damage, Score } from '../../bench/faults/contract.ts'
import { noDamage } from '../../bench/faults/damage.ts'
import { type ExpectedReplay, judgeTargets, type TargetJudgement } from '../../bench/faults/judgeTarget.ts'
import { digestRecord } from '../../bench/judge/digest.ts'
import { findJavaReader } from '../../bench/judge/javaReader.ts'
import { RecordTable } from '../../bench/judge/table.ts'
import type { SourceRecord } from '../../bench/source/event.ts'
import { BatchProducer } from '../../bench/source/producer.ts'
import { RecordBatchEncoder } from '../../bench/source/recordBatch.ts'
import { testServers } from '../support/servers.ts'
import { TestKafka } from '../support/source.ts'

const partitions = 2
const perPartition = 10
const hashOf = (partition: number, offset: number): string => `${partition}${offset}`.padStart(64, '0')
const isAccepted = (offset: number): boolean => offset !== 4

const sourceRecord = (partition: number, offset: number): SourceRecord => ({
  key: Buffer.from(`k${offset}`),
  value: Buffer.from(`value ${partition}/${offset}`),
  headers: [['h', Buffer.from('x')]],
  timestamp: 1_760_000_000_000 + offset,
})

const reader = await findJavaReader(testServers().kafkaClasspath)

describe.skipIf(reader === null)('judging targets with Java', () => {
  let kafka: TestKafka
  let source: string
  let score: Score

  beforeAll(async () => {
    kafka = await TestKafka.connect()
    source = await kafka.topic(partitions, { 'retention.ms': '-1' })
    const all = [0, 1].map((partition) =>
      Array.from({ length: perPartition }, (_, offset) => sourceRecord(partition, offset)),
    )
    await produce(source, all)
    const tables = all.map((records, partition) => {
      const table = new RecordTable()
      records.forEach((record, offset) => {
        const accepted = isAccepted(offset)
        table.add(offset, digestRecord(record), accepted, accepted ? hashOf(partition, offset) : undefined)
      })
      return table
    })
    const produced = partitions * perPartition
    score = {
      topic: source,
      partitions,
      tables,
      ends: [perPartition, perPartition],
      produced,
      accepted: produced - partitions,
    }
  })
  afterAll(() => kafka.close())

  async function produce(topic: string, records: readonly (readonly SourceRecord[])[]): Promise<void> {
    const producer = await BatchProducer.connect(kafka.admin, topic)
    const encoder = new RecordBatchEncoder()
    try {
      for (const [partition, list] of records.entries())
        if (list.length > 0) await producer.send(partition, encoder.encode(list, 'none'))
    } finally {
      producer.close()
    }
  }

  interface Origin {
    readonly replay?: string
    readonly topic?: string
    readonly hash?: string
  }

  /** What a faultless replay leaves of the offsets `[from, to)`, unless told to lie. */
  const copies = (partition: number, from: number, to: number, origin: Origin = {}): SourceRecord[] =>
    Array.from({ length: to - from }, (_, index) => from + index)
      .filter(isAccepted)
      .map((offset) => {
        const record = sourceRecord(partition, offset)
        const added = [
          ['replay-id', origin.replay ?? 'r1'],
          ['replay-source-topic', origin.topic ?? source],
          ['replay-source-partition', String(partition)],
          ['replay-source-offset', String(offset)],
          ['replay-event-hash', origin.hash ?? hashOf(partition, offset)],
        ] as const
        return {
          ...record,
          headers: [...record.headers, ...added.map(([name, value]) => [name, Buffer.from(value)] as const)],
        }
      })

  async function judged(
    records: readonly (readonly SourceRecord[])[],
    replays: readonly Omit<ExpectedReplay, 'targetTopic'>[],
    against = score,
  ): Promise<TargetJudgement> {
    if (reader === null) throw new Error('no reader')
    const targetTopic = await kafka.topic(partitions, { 'retention.ms': '-1' })
    await produce(targetTopic, records)
    const expected = replays.map((replay) => ({ ...replay, targetTopic }))
    const signal = AbortSignal.timeout(50_000)
    return judgeTargets(reader, testServers().kafkaBrokers, against, expected, signal)
  }

  it('finds nothing wrong with a faultless replay', async () => {
    const found = await judged([copies(0, 0, 10), copies(1, 0, 10)], [{ replayId: 'r1' }])
    expect(found).toMatchObject({ damage: noDamage, records: 18, problems: [] })
  })

  it('judges each of several replays into one topic for itself', async () => {
    const other = { replay: 'r2' }
    const found = await judged(
      [
        [...copies(0, 0, 10), ...copies(0, 0, 10, other)],
        [...copies(1, 0, 10), ...copies(1, 0, 9, other)],
      ],
      [{ replayId: 'r1' }, { replayId: 'r2' }],
    )
    expect(found.replays.map(({ damage }) => damage)).toEqual([noDamage, { ...noDamage, lost: 1 }])
    expect(found.damage).toEqual({ ...noDamage, lost: 1 })
  })

  it.each<[string, () => readonly (readonly SourceRecord[])[], Partial<Damage>]>([
    [
      'a replay that nobody started',
      () => [...copies(0, 0, 2, { replay: 'r9' })].map((one) => [one]),
      { lost: 18, doubled: 2 },
    ],
    [
      'a page that came twice',
      () => [[...copies(0, 0, 10), ...copies(0, 0, 3)], copies(1, 0, 10)],
      { doubled: 3 },
    ],
    [
      'pages that were swapped',
      () => [[...copies(0, 3, 10), ...copies(0, 0, 3)], copies(1, 0, 10)],
      { reordered: 3 },
    ],
    ['another source topic', () => [copies(0, 0, 10, { topic: 'other' }), copies(1, 0, 10)], { altered: 9 }],
    [
      'another content hash',
      () => [copies(0, 0, 10), [...copies(1, 0, 9), ...copies(1, 9, 10, { hash: 'x' })]],
      { altered: 1 },
    ],
    [
      'another partition',
      () => [[...copies(0, 0, 10), ...copies(1, 9, 10)], copies(1, 0, 9)],
      { altered: 1 },
    ],
  ])('sees %s', async (_what, records, damage) => {
    const found = await judged(records(), [{ replayId: 'r1' }])
    expect(found.damage).toEqual({ ...noDamage, ...damage })
    expect(found.problems).not.toEqual([])
  })

  it('takes the committed part of a replay for all of it, and nothing beyond', async () => {
    const ranges = [
      { from: 2, to: 6 },
      { from: 0, to: 0 },
    ]
    const exact = await judged([copies(0, 2, 6), []], [{ replayId: 'r1', ranges }])
    expect(exact.damage).toEqual(noDamage)
    const more = await judged([copies(0, 2, 7), copies(1, 0, 1)], [{ replayId: 'r1', ranges }])
    expect(more.damage).toEqual({ ...noDamage, doubled: 2 })
    const less = await judged([copies(0, 2, 5), []], [{ replayId: 'r1', ranges }])
    expect(less.damage).toEqual({ ...noDamage, lost: 1 })
  })

  it('sees a score that is not true', async () => {
    const table = new RecordTable()
    for (let offset = 0; offset < perPartition; offset++)
      table.add(offset, digestRecord(sourceRecord(0, offset === 3 ? 8 : offset)), isAccepted(offset))
    const [, second = table] = score.tables
    const found = await judged([], [], { ...score, tables: [table, second] })
    expect(found.problems).toContainEqual(
      expect.stringContaining('1 records on the source are not as scored'),
    )
  })
})
