import { randomUUID } from 'node:crypto'
import kafkajs from 'kafkajs'
import { readHeaders } from '../../src/domain/headers.ts'
import type { SourceRecords } from '../../src/domain/model.ts'
import { createKafkaConnection, type KafkaConnection } from '../../src/kafka/connection.ts'
import { createSourceConsumerFactory } from '../../src/kafka/source-consumer.ts'
import { createTopicDirectory } from '../../src/kafka/topic-directory.ts'
import type { SourceBatch } from '../../src/ports.ts'
import type { SeenRecord } from './compare.ts'
import { digestRecord, numberHeader, textDigest } from './digest.ts'
import type { TopicReader } from './reader.ts'

/** A topic must be read to its end within this time. */
const limitMs = 10 * 60_000
const stopLimitMs = 5_000

/**
 * The platform's own reading side: kafkajs with the patched read_committed filter. Where no Java is at hand; a mistake
 * that reading and replaying share would stay unseen, which is why it comes second.
 */
export function createKafkajsReader(): TopicReader {
  return {
    name: 'kafkajs with the read_committed patch (no Java compiler at hand)',
    async read(brokers, topics, onRecord, signal) {
      for (const [number, topic] of topics.entries())
        await readTopic(brokers, topic, (record) => onRecord(number, record), signal)
    },
  }
}

async function readTopic(
  brokers: string,
  topic: string,
  onRecord: (record: SeenRecord) => void,
  signal: AbortSignal | undefined,
): Promise<void> {
  const connection = createKafkaConnection({
    brokers: brokers.split(','),
    clientId: 'judge',
    tls: null,
    sasl: null,
    log: { debug: () => undefined, warn: () => undefined },
  })
  const groupId = `judge-${randomUUID()}`
  const left = await endsOf(brokers, topic)
  if (left.size === 0) return
  const done = Promise.withResolvers<void>()
  const onBatch = async (batch: SourceBatch): Promise<void> => {
    if (!left.has(batch.partition)) return
    for await (const part of batch.parts()) {
      if (part.kind === 'undecodable') throw new Error(part.batch.detail)
      for (let index = 0; index < part.records.count; index++)
        onRecord(toSeen(batch.partition, part.records, index))
    }
    if (batch.nextOffset >= (left.get(batch.partition) ?? 0n)) left.delete(batch.partition)
    if (left.size === 0) done.resolve()
  }
  await consume(connection, { topic, groupId, onBatch, done, signal })
  await deleteGroup(brokers, groupId)
}

interface Consumption {
  readonly topic: string
  readonly groupId: string
  onBatch(batch: SourceBatch): Promise<void>
  readonly done: PromiseWithResolvers<void>
  readonly signal: AbortSignal | undefined
}

async function consume(
  connection: KafkaConnection,
  { topic, groupId, onBatch, done, signal }: Consumption,
): Promise<void> {
  const limit = AbortSignal.timeout(limitMs)
  const stop = signal === undefined ? limit : AbortSignal.any([signal, limit])
  stop.addEventListener('abort', () => done.reject(new Error(`${topic} could not be read to its end`)))
  const directory = createTopicDirectory(connection)
  const consumer = createSourceConsumerFactory(connection, directory).create({
    topic,
    groupId,
    sessionTimeoutMs: 30_000,
    maxBytesPerPartition: 4 << 20,
    minBytes: 1,
    maxWaitMs: 100,
    handlers: {
      // A batch that fails would be read again, and its records counted twice: give up instead.
      onBatch: (batch) => onBatch(batch).catch((error: Error) => done.reject(error)),
      onAssigned: () => undefined,
      onCrash: (error) => done.reject(error),
    },
  })
  try {
    await consumer.start()
    await done.promise
  } finally {
    await consumer.stop(stopLimitMs)
    await directory.close()
  }
}

/** End of each partition that holds anything. All transactions are over, so the high watermark is the stable end. */
async function endsOf(brokers: string, topic: string): Promise<Map<number, bigint>> {
  return withAdmin(brokers, async (admin) => {
    const offsets = await admin.fetchTopicOffsets(topic)
    return new Map(
      offsets
        .filter(({ high, low }) => BigInt(high) > BigInt(low))
        .map(({ partition, high }) => [partition, BigInt(high)]),
    )
  })
}

const deleteGroup = (brokers: string, groupId: string): Promise<void> =>
  withAdmin(brokers, async (admin) => {
    await admin.deleteGroups([groupId])
  })

async function withAdmin<T>(brokers: string, work: (admin: kafkajs.Admin) => Promise<T>): Promise<T> {
  const kafka = new kafkajs.Kafka({ brokers: brokers.split(','), logLevel: kafkajs.logLevel.NOTHING })
  const admin = kafka.admin()
  await admin.connect()
  try {
    return await work(admin)
  } finally {
    await admin.disconnect()
  }
}

function toSeen(partition: number, records: SourceRecords, index: number): SeenRecord {
  const at = (starts: Int32Array, ends: Int32Array): Buffer | null => {
    const start = starts[index] ?? -1
    return start < 0 ? null : records.bytes.subarray(start, ends[index])
  }
  const headers = readHeaders(
    records.bytes,
    records.headerStarts[index] ?? 0,
    records.headerEnds[index] ?? 0,
  ).map(({ key, value }) => [key, value] as const)
  return {
    ...digestRecord({
      key: at(records.keyStarts, records.keyEnds),
      value: at(records.valueStarts, records.valueEnds),
      headers,
      timestamp: records.timestamps[index] ?? -1n,
    }),
    partition,
    offset: Number(records.offsets[index] ?? -1n),
    sourcePartition: numberHeader(headers, 'replay-source-partition'),
    sourceOffset: numberHeader(headers, 'replay-source-offset'),
    replay: textDigest(headers, 'replay-id'),
    sourceTopic: textDigest(headers, 'replay-source-topic'),
    eventHash: textDigest(headers, 'replay-event-hash'),
  }
}
