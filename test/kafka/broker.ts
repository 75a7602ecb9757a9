import { randomUUID } from 'node:crypto'
import kafkajs, { type Kafka } from 'kafkajs'
import { afterAll } from 'vitest'
import { BrokerLink } from '../../src/kafka/broker-link.ts'
import { createKafkaConnection, type KafkaConnection } from '../../src/kafka/connection.ts'
import { openSourceBatch } from '../../src/kafka/source-batch.ts'
import { createTopicDirectory } from '../../src/kafka/topic-directory.ts'
import { testServers } from '../support/servers.ts'
import { fetched, partsOf, recordsIn } from './record-sets.ts'

export interface LogLine {
  readonly level: string
  readonly fields: Record<string, unknown>
  readonly message: string
}

export function connectionTo(brokers: readonly string[], lines: LogLine[] = []): KafkaConnection {
  const log = (level: string) => (fields: Record<string, unknown>, message: string) => {
    lines.push({ level, fields, message })
  }
  return createKafkaConnection({
    brokers,
    clientId: 'kafka-tests',
    tls: null,
    sasl: null,
    log: { debug: log('debug'), warn: log('warn') },
  })
}

export const brokers = (): string[] => testServers().kafkaBrokers.split(',')

/** Connections to the broker, topics of unique names that go away with the test file, and plain kafkajs clients. */
export function useBroker() {
  const connection = connectionTo(brokers())
  const directory = createTopicDirectory(connection)
  const link = new BrokerLink(connection, 30_000)
  const kafka: Kafka = new kafkajs.Kafka({
    clientId: 'kafka-tests-plain',
    brokers: brokers(),
    logLevel: kafkajs.logLevel.NOTHING,
    retry: { initialRetryTime: 20, maxRetryTime: 300, retries: 20 },
  })
  const topics = new Set<string>()
  afterAll(async () => {
    const admin = kafka.admin()
    await admin.connect()
    // Replay targets are named after their topic: they go with it.
    const made = [...topics]
    const ours = (await admin.listTopics()).filter((name) => made.some((topic) => name.startsWith(topic)))
    if (ours.length > 0) await admin.deleteTopics({ topics: ours })
    await admin.disconnect()
    directory.close()
    link.destroy()
  })
  return {
    connection,
    directory,
    kafka,
    async makeTopic(partitions = 1, config: Record<string, string> = {}): Promise<string> {
      const topic = `kafkatest-${randomUUID()}`
      topics.add(topic)
      await directory.create(topic, partitions, config)
      return topic
    },
    /** Waits until the broker no longer tells of the topic. */
    async gone(topic: string): Promise<void> {
      while ((await directory.describe(topic)) !== null);
    },
    /** Plain records `0`, `1`, … with values of their number, uncompressed unless a codec is named. */
    async produce(topic: string, partition: number, count: number, compression = 0): Promise<void> {
      const producer = kafka.producer({ createPartitioner: kafkajs.Partitioners.DefaultPartitioner })
      await producer.connect()
      const messages = Array.from({ length: count }, (_, i) => ({ partition, key: `k${i}`, value: `v${i}` }))
      await producer.send({ topic, messages, compression })
      await producer.disconnect()
    },
    async deleteTopic(topic: string): Promise<void> {
      const admin = kafka.admin()
      await admin.connect()
      await admin.deleteTopics({ topics: [topic] })
      await admin.disconnect()
    },
    async readCommitted(topic: string, partition = 0) {
      const { start } = await directory.bounds(topic, partition)
      return await readCommitted(link, topic, partition, String(start))
    },
    async endOf(topic: string, partition = 0): Promise<bigint> {
      return (await directory.bounds(topic, partition)).end
    },
  }
}

interface FetchingBroker {
  fetch(request: {
    isolationLevel: number
    maxWaitTime: number
    maxBytes: number
    topics: { topic: string; partitions: { partition: number; fetchOffset: string; maxBytes: number }[] }[]
  }): Promise<{
    responses: {
      partitions: {
        highWatermark: string
        lastStableOffset: string
        abortedTransactions: { producerId: string; firstOffset: string }[]
        messages: { buffer: Buffer }
      }[]
    }[]
  }>
}

/**
 * Every committed record of a partition, read without a group. Waits while a transaction is still being ended: its markers
 * are written after the commit was answered.
 */
async function readCommitted(link: BrokerLink, topic: string, partition: number, start: string) {
  const broker = (await link.anyNode()) as unknown as FetchingBroker
  const records: ReturnType<typeof recordsIn> = []
  for (let position = start; ; ) {
    const { responses } = await broker.fetch({
      isolationLevel: 1,
      maxWaitTime: 10,
      maxBytes: 50_000_000,
      topics: [{ topic, partitions: [{ partition, fetchOffset: position, maxBytes: 50_000_000 }] }],
    })
    const answer = responses[0]?.partitions[0]
    if (answer === undefined) throw new Error('no answer')
    if (answer.messages.buffer.length === 0) {
      if (answer.lastStableOffset === answer.highWatermark) return records
      continue
    }
    const set = fetched(answer.messages.buffer, {
      topic,
      partition,
      fetchedOffset: position,
      abortedTransactions: answer.abortedTransactions,
    })
    records.push(...recordsIn(await partsOf(set)))
    position = openSourceBatch(set).nextOffset.toString()
  }
}
