import { randomUUID } from 'node:crypto'
import kafkajs from 'kafkajs'
import { describe, expect, test } from 'vitest'
import { offset } from '../../src/domain/model.ts'
import { registerCodecs } from '../../src/kafka/codecs.ts'
import { createTransactionLaneFactory } from '../../src/kafka/transaction-lane.ts'
import { useBroker } from './broker.ts'
import { useCollectors } from './collector.ts'
import { record, sourceRecords, wireHeaders } from './records.ts'

registerCodecs()
const broker = useBroker()
const collect = useCollectors(broker.connection, broker.directory)
const lanes = createTransactionLaneFactory(broker.connection)

const numbers = (count: number) => Array.from({ length: count }, (_, i) => `v${i}`)

async function groupOffsets(groupId: string, topic: string): Promise<string[]> {
  const admin = broker.kafka.admin()
  await admin.connect()
  const [found] = await admin.fetchOffsets({ groupId, topics: [topic] })
  await admin.disconnect()
  return (found?.partitions ?? []).toSorted((a, b) => a.partition - b.partition).map((one) => one.offset)
}

/** A transaction of the given records, committed or aborted. */
async function transaction(topic: string, values: readonly string[], commit: boolean): Promise<void> {
  const id = `kafkatest-${randomUUID()}`
  const options = {
    transactionalId: id,
    groupId: id,
    targetTopic: topic,
    maxMessageBytes: 1e6,
    transactionTimeoutMs: 30_000,
  }
  const lane = await lanes.open(options, new AbortController().signal)
  await lane.begin()
  const records = values.map((value, i) => record(BigInt(i), { value: Buffer.from(value) }))
  await lane.send(0, { records: sourceRecords(records), selected: null, headersOf: null })
  if (commit) await lane.commit({ offset: offset(0n), metadata: '' })
  else await lane.abort()
  await lane.close()
}

describe('what is read', () => {
  test('every codec, every partition, in order, without a gap in positions', async () => {
    const topic = await broker.makeTopic(4)
    for (const codec of [0, 1, 2, 3, 4]) {
      for (const partition of [0, 1, 2, 3]) await broker.produce(topic, partition, 50, codec)
    }
    const collector = collect(topic, { maxBytesPerPartition: 2_000 })
    await collector.consumer.start()
    await collector.untilAt({ 0: 250n, 1: 250n, 2: 250n, 3: 250n })
    for (const partition of [0, 1, 2, 3]) {
      expect(collector.values(partition)).toEqual([0, 1, 2, 3, 4].flatMap(() => numbers(50)))
      const offsets = collector.records.get(partition)?.map((one) => one.offset)
      expect(offsets).toEqual(Array.from({ length: 250 }, (_, i) => BigInt(i)))
      const batches = collector.batches.filter((batch) => batch.partition === partition)
      expect(batches.map(({ fetchedOffset }) => fetchedOffset)).toEqual([
        0n,
        ...batches.slice(0, -1).map(({ nextOffset }) => nextOffset),
      ])
      expect(batches.at(-1)).toMatchObject({ topic, highWatermark: 250n, leaderEpoch: 0 })
    }
  })

  test('headers keep order, repeats, nulls and odd names; keys and values may be null or empty', async () => {
    const topic = await broker.makeTopic()
    const headers = [
      ['b', Buffer.from('1')],
      ['a', null],
      ['b', Buffer.from('2')],
      ['10', Buffer.alloc(0)],
      ['', null],
    ] as const
    const id = `kafkatest-${randomUUID()}`
    const options = {
      transactionalId: id,
      groupId: id,
      targetTopic: topic,
      maxMessageBytes: 1e6,
      transactionTimeoutMs: 30_000,
    }
    const lane = await lanes.open(options, new AbortController().signal)
    const sent = [
      record(0n, { headers }),
      record(1n, { key: null, value: null, timestamp: 0n }),
      record(2n, { key: Buffer.alloc(0), value: Buffer.alloc(0), timestamp: -1n }),
    ]
    await lane.begin()
    await lane.send(0, { records: sourceRecords(sent), selected: null, headersOf: null })
    await lane.commit({ offset: offset(0n), metadata: '' })
    await lane.close()
    const collector = collect(topic)
    await collector.consumer.start()
    await collector.untilAt({ 0: 4n })
    expect(collector.records.get(0)).toEqual(
      sent.map((one) => ({ ...one, headers: wireHeaders(one.headers) })),
    )
  })

  test('a batch that only an aborted transaction is in moves the position visibly', async () => {
    const topic = await broker.makeTopic()
    await transaction(topic, ['never', 'seen'], false)
    const collector = collect(topic)
    await collector.consumer.start()
    await collector.untilAt({ 0: 3n })
    expect(collector.batches.every(({ bytes }) => bytes > 0)).toBe(true)
    await transaction(topic, ['seen'], true)
    await transaction(topic, ['not'], false)
    await collector.untilAt({ 0: 7n })
    expect(collector.values()).toEqual(['seen'])
  })

  test('holes and emptied batches that compaction leaves are stepped over', async () => {
    const topic = await broker.makeTopic(1, {
      'cleanup.policy': 'compact',
      'segment.ms': '50',
      'min.cleanable.dirty.ratio': '0.0001',
      'max.compaction.lag.ms': '100',
      'delete.retention.ms': '0',
    })
    // The emptied batch of a producer's last sequence number stays; the key is written again behind it.
    await transaction(topic, ['superseded'], true)
    await broker.produce(topic, 0, 3)
    await broker.produce(topic, 0, 3)
    let writes = 2
    const compacted = async () => (await broker.readCommitted(topic)).length < 3 * writes
    while (!(await compacted())) {
      // The newest segment is never compacted: a write now and then closes it.
      await broker.produce(topic, 0, 3)
      writes++
      await new Promise((resolve) => setTimeout(resolve, 500))
    }
    const end = await broker.endOf(topic)
    const collector = collect(topic)
    await collector.consumer.start()
    await collector.untilAt({ 0: end })
    expect(collector.values()).not.toContain('superseded')
    expect(collector.values().slice(-3)).toEqual(numbers(3))
    expect(collector.records.get(0)?.length).toBeLessThan(Number(end))
    const positions = collector.batches.map(({ fetchedOffset }) => fetchedOffset)
    expect(positions).toEqual([0n, ...collector.batches.slice(0, -1).map(({ nextOffset }) => nextOffset)])
  }, 90_000)

  test('a record larger than a fetch is read', async () => {
    const topic = await broker.makeTopic()
    await transaction(topic, ['a', 'x'.repeat(500_000), 'b'], true)
    const collector = collect(topic, { maxBytesPerPartition: 1_000 })
    await collector.consumer.start()
    await collector.untilAt({ 0: 4n })
    expect(collector.values().map(({ length }) => length)).toEqual([1, 500_000, 1])
  })
})

describe('positions', () => {
  test('a seek at assignment comes before the first fetch, commits nothing, and a commit is a mirror', async () => {
    const topic = await broker.makeTopic(2)
    for (const partition of [0, 1]) await broker.produce(topic, partition, 20)
    const groupId = `kafkatest-${randomUUID()}`
    const collector = collect(topic, { groupId })
    collector.onAssigned = () => {
      collector.consumer.seek(0, offset(7n))
      collector.consumer.seek(1, offset(0n))
    }
    await collector.consumer.start()
    await collector.untilAt({ 0: 20n, 1: 20n })
    expect(collector.batches.find(({ partition }) => partition === 0)?.fetchedOffset).toBe(7n)
    expect(collector.values(0)).toEqual(numbers(20).slice(7))
    expect(await groupOffsets(groupId, topic)).toEqual(['-1', '-1'])
    await collector.consumer.commit(0, offset(20n))
    expect(await groupOffsets(groupId, topic)).toEqual(['20', '-1'])
    await expect(collector.consumer.commit(5, offset(1n))).rejects.toMatchObject({
      code: 'KAFKA_UNAVAILABLE',
    })
  })

  test('a seek from the handler takes effect with the next batch', async () => {
    const topic = await broker.makeTopic()
    await broker.produce(topic, 0, 10)
    let sought = false
    const collector = collect(topic, {}, async (batch, _heartbeat, self) => {
      if (!sought) self.consumer.seek(0, offset(4n))
      sought = true
      await self.take(batch)
    })
    await collector.consumer.start()
    await collector.until(() => collector.values().length === 16)
    expect(collector.batches.map(({ fetchedOffset }) => fetchedOffset)).toEqual([0n, 4n])
  })

  test('a position that Kafka no longer has shows as a fetch from the log’s start', async () => {
    const topic = await broker.makeTopic()
    await broker.produce(topic, 0, 10)
    const collector = collect(topic)
    collector.onAssigned = () => collector.consumer.seek(0, offset(500n))
    await collector.consumer.start()
    await collector.untilAt({ 0: 10n })
    expect(collector.batches[0]?.fetchedOffset).toBe(0n)
  })

  test('a paused partition rests, over rejoins too, until it is resumed', async () => {
    const topic = await broker.makeTopic(2)
    const groupId = `kafkatest-${randomUUID()}`
    const collector = collect(topic, { groupId })
    collector.consumer.pause(0)
    collector.consumer.pause(0)
    await collector.consumer.start()
    for (const partition of [0, 1]) await broker.produce(topic, partition, 5)
    await collector.untilAt({ 1: 5n })
    const guest = collect(topic, { groupId })
    await guest.consumer.start()
    await guest.consumer.stop(3_000)
    await broker.produce(topic, 1, 5)
    await collector.until(() => collector.assigned.length === 2 && collector.assignments.length > 2)
    await collector.untilAt({ 1: 10n })
    expect(collector.values(0)).toEqual([])
    collector.consumer.resume(0)
    collector.consumer.resume(0)
    await collector.untilAt({ 0: 5n })
  })
})

describe('failures', () => {
  test('a handler may fail as often as it likes, with any error: the same batch comes again', async () => {
    const topic = await broker.makeTopic()
    await broker.produce(topic, 0, 3)
    const errors = [new TypeError('a'), new RangeError('b'), new Error('c'), ...Array(4).fill(new Error('d'))]
    const seen: bigint[] = []
    const collector = collect(topic, {}, async (batch, _heartbeat, self) => {
      seen.push(batch.fetchedOffset)
      const error: unknown = errors.pop()
      if (error !== undefined) throw error
      await self.take(batch)
    })
    await collector.consumer.start()
    await collector.untilAt({ 0: 3n })
    expect(seen).toEqual(Array(8).fill(0n))
    expect(collector.values()).toEqual(numbers(3))
    expect(collector.crash).toBeNull()
  })

  test('a topic that does not exist cannot be started', async () => {
    const collector = collect('kafkatest-nowhere')
    await expect(collector.consumer.start()).rejects.toMatchObject({ code: 'KAFKA_UNAVAILABLE' })
    expect(collector.crash).toBeNull()
  })

  test('stopping is bounded, a handler that never returns included', async () => {
    const topic = await broker.makeTopic()
    await broker.produce(topic, 0, 3)
    let entered: () => void = () => undefined
    const handling = new Promise<void>((resolve) => {
      entered = resolve
    })
    const collector = collect(topic, {}, () => {
      entered()
      return new Promise(() => undefined)
    })
    await collector.consumer.start()
    await handling
    const started = performance.now()
    await collector.consumer.stop(500)
    expect(performance.now() - started).toBeLessThan(10_000)
  })

  test('of two topics in one group one goes away: its consumer says so, the other reads on', async () => {
    const groupId = `kafkatest-${randomUUID()}`
    const doomed = await broker.makeTopic(2)
    const healthy = await broker.makeTopic(2)
    const ofDoomed = collect(doomed, { groupId })
    const ofHealthy = collect(healthy, { groupId })
    await ofDoomed.consumer.start()
    await ofHealthy.consumer.start()
    await ofHealthy.until(() => ofHealthy.assigned.length === 2)
    await broker.deleteTopic(doomed)
    await broker.produce(healthy, 0, 10)
    await ofHealthy.untilAt({ 0: 10n })
    await ofDoomed.until(() => ofDoomed.crash !== null)
    expect(ofDoomed.crash).toMatchObject({ code: 'KAFKA_UNAVAILABLE' })
    await broker.produce(healthy, 1, 10)
    await ofHealthy.untilAt({ 1: 10n })
    expect(ofHealthy.crash).toBeNull()
  })
})

describe('the group', () => {
  test('topics with a consumer each share one group, and processes share the partitions', async () => {
    const groupId = `kafkatest-${randomUUID()}`
    const topics = [await broker.makeTopic(4), await broker.makeTopic(1)] as const
    const first = topics.map((topic) => collect(topic, { groupId }))
    const second = topics.map((topic) => collect(topic, { groupId }))
    for (const collector of [...first, ...second]) await collector.consumer.start()
    const shares = () =>
      topics.map((_, i) => [...(first[i]?.assigned ?? []), ...(second[i]?.assigned ?? [])].sort())
    const settled = () => JSON.stringify(shares()) === '[[0,1,2,3],[0]]' && first[0]?.assigned.length === 2
    await Promise.all([...first, ...second].map((collector) => collector.until(settled)))
    for (const partition of [0, 1, 2, 3]) await broker.produce(topics[0], partition, 5)
    for (const partition of first[0]?.assigned ?? []) await first[0]?.untilAt({ [partition]: 5n })
    for (const partition of second[0]?.assigned ?? []) await second[0]?.untilAt({ [partition]: 5n })
    await Promise.all(second.map(({ consumer }) => consumer.stop(3_000)))
    await Promise.all(
      first.map((collector, i) => collector.until(() => collector.assigned.length === (i === 0 ? 4 : 1))),
    )
  })

  test('a rebalance reaches a busy handler through its heartbeat, and the batch comes again', async () => {
    const topic = await broker.makeTopic(2)
    for (const partition of [0, 1]) await broker.produce(topic, partition, 5)
    const groupId = `kafkatest-${randomUUID()}`
    let failures = 0
    let guestMayCome: () => void = () => undefined
    const busy = new Promise<void>((resolve) => {
      guestMayCome = resolve
    })
    const collector = collect(topic, { groupId, sessionTimeoutMs: 6_000 }, async (batch, heartbeat, self) => {
      guestMayCome()
      try {
        // As long as nobody joined: with the guest a heartbeat fails.
        while (failures === 0) {
          await new Promise((resolve) => setTimeout(resolve, 50))
          await heartbeat()
        }
      } catch (error) {
        failures++
        throw error
      }
      await self.take(batch)
    })
    await collector.consumer.start()
    await busy
    const guest = collect(topic, { groupId, sessionTimeoutMs: 6_000 })
    await guest.consumer.start()
    await Promise.all([collector, guest].map((one) => one.until(() => one.assigned.length === 1)))
    const [mine = -1] = collector.assigned
    await collector.untilAt({ [mine]: 5n })
    const [others = -1] = guest.assigned
    await guest.untilAt({ [others]: 5n })
    expect(new Set([mine, others])).toEqual(new Set([0, 1]))
    expect(failures).toBeGreaterThan(0)
    expect(collector.crash).toBeNull()
  })
})

test('plain kafkajs reads and writes all codecs once they are registered', async () => {
  const topic = await broker.makeTopic()
  for (const codec of [1, 2, 3, 4]) await broker.produce(topic, 0, 3, codec)
  const consumer = broker.kafka.consumer({ groupId: `kafkatest-${randomUUID()}` })
  await consumer.connect()
  await consumer.subscribe({ topics: [topic], fromBeginning: true })
  const values: string[] = []
  await new Promise<void>((resolve) => {
    void consumer.run({
      eachMessage: async ({ message }) => {
        values.push(String(message.value))
        if (values.length === 12) resolve()
      },
    })
  })
  await consumer.disconnect()
  expect(values).toEqual([1, 2, 3, 4].flatMap(() => numbers(3)))
  expect(kafkajs.CompressionCodecs[kafkajs.CompressionTypes.GZIP]).toBeTypeOf('function')
})
