import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, expect, test } from 'vitest'
import { offset, type SourceRecords } from '../../src/domain/model.ts'
import { createTargetReader } from '../../src/kafka/target-reader.ts'
import { createTransactionLaneFactory } from '../../src/kafka/transaction-lane.ts'
import type { TransactionLane } from '../../src/ports.ts'
import { connectionTo, useBroker } from './broker.ts'
import { record, sourceRecords } from './records.ts'

const broker = useBroker()
const reader = createTargetReader(broker.connection)
const factory = createTransactionLaneFactory(broker.connection)
const never = new AbortController().signal
const lanes: TransactionLane[] = []
afterAll(() => Promise.all(lanes.map((lane) => lane.close())))

async function open(targetTopic: string): Promise<TransactionLane> {
  const id = `kafkatest-${randomUUID()}`
  const options = { targetTopic, maxMessageBytes: 1_048_588, transactionTimeoutMs: 30_000 }
  const lane = await factory.open({ transactionalId: id, groupId: id, ...options }, never)
  lanes.push(lane)
  await lane.begin()
  return lane
}

const pageOf = (first: bigint, count: number) => ({
  records: sourceRecords(Array.from({ length: count }, (_, i) => record(first + BigInt(i)))),
  selected: null,
  headersOf: null,
})
const cursor = { offset: offset(1n), metadata: '' }

/** Values of lanes; what `broker.produce` makes begins with a v and a digit. */
const ours = (records: SourceRecords, index: number): string | null => {
  const value = records.bytes.toString('utf8', records.valueStarts[index], records.valueEnds[index])
  return value.startsWith('value ') ? value : null
}
const last = (topic: string, partition = 0) => reader.lastRecord({ topic, partition }, ours, never)

test('finds the last committed record, and whose it is, behind any number of others', async () => {
  const topic = await broker.makeTopic(2)
  const lane = await open(topic)
  await broker.produce(topic, 1, 50)
  await lane.send(1, pageOf(0n, 300))
  await lane.commit(cursor)
  await lane.begin()
  await lane.send(1, pageOf(300n, 300))
  await lane.commit(cursor)
  const found = { kind: 'found', value: 'value 599', producerId: lane.producerId }
  expect(await last(topic, 1)).toEqual(found)
  // Several steps back, through small and packed batches.
  for (let round = 0; round < 3; round++) await broker.produce(topic, 1, 7_000, 1)
  expect(await last(topic, 1)).toEqual(found)
  expect(await last(topic, 0)).toEqual({ kind: 'none', start: 0n })
})

test('records of aborted transactions were never there', async () => {
  const topic = await broker.makeTopic()
  const lane = await open(topic)
  await lane.send(0, pageOf(0n, 10))
  await lane.commit(cursor)
  const other = await open(topic)
  await other.send(0, pageOf(100n, 10))
  await lane.begin()
  await lane.send(0, pageOf(10n, 5_000))
  await other.abort()
  await lane.abort()
  await broker.produce(topic, 0, 10)
  expect(await last(topic)).toMatchObject({ kind: 'found', value: 'value 9', producerId: lane.producerId })
})

test('waits while somebody else’s open transaction hides what was committed', async () => {
  const topic = await broker.makeTopic()
  const stranger = await open(topic)
  await stranger.send(0, pageOf(0n, 1))
  const lane = await open(topic)
  await lane.send(0, pageOf(50n, 10))
  await lane.commit(cursor)
  let answered = false
  const asked = last(topic).finally(() => {
    answered = true
  })
  await sleep(500)
  expect(answered).toBe(false)
  await stranger.abort()
  expect(await asked).toMatchObject({ value: 'value 59', producerId: lane.producerId })
})

test('says where the partition begins when what is wanted is gone from it', async () => {
  const topic = await broker.makeTopic()
  const lane = await open(topic)
  await lane.send(0, pageOf(0n, 10))
  await lane.commit(cursor)
  await broker.produce(topic, 0, 10)
  const admin = broker.kafka.admin()
  await admin.connect()
  await admin.fetchTopicOffsets(topic)
  await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '15' }] })
  await admin.disconnect()
  expect(await last(topic)).toEqual({ kind: 'none', start: 15n })
})

test('an empty partition has nothing; a topic or a broker that is not there is no answer', async () => {
  expect(await last(await broker.makeTopic())).toEqual({ kind: 'none', start: 0n })
  await expect(last(`kafkatest-${randomUUID()}`)).rejects.toMatchObject({ code: 'KAFKA_UNAVAILABLE' })
  const away = createTargetReader(connectionTo(['127.0.0.1:1']))
  await expect(away.lastRecord({ topic: 't', partition: 0 }, ours, never)).rejects.toMatchObject({
    code: 'KAFKA_UNAVAILABLE',
  })
  const cancelled = AbortSignal.abort(new Error('nobody waits any more'))
  await expect(reader.lastRecord({ topic: 't', partition: 0 }, ours, cancelled)).rejects.toThrow(
    'nobody waits',
  )
})
