import { KafkaFault } from './faults.ts'
import { type WireReader, type WireRequest, WireWriter } from './wire.ts'

export interface ProduceAnswer {
  readonly errorCode: number
  /** Indexes, in the batch, of the records that the broker refused; empty when it does not say. */
  readonly refused: readonly number[]
}

const allReplicas = -1

/**
 * Produce v8 (Kafka 2.4) with one record batch for one partition, acknowledged by all replicas. The answer must name that
 * partition and no other, else it is a KafkaFault: kafkajs' own `send` can resolve without having written.
 */
export function produceRequest(target: {
  transactionalId: string
  topic: string
  partition: number
  batch: Buffer
  timeoutMs: number
}): WireRequest<ProduceAnswer> {
  const { topic, partition, batch } = target
  const writer = new WireWriter().string(target.transactionalId).int16(allReplicas).int32(target.timeoutMs)
  writer.int32(1).string(topic)
  writer.int32(1).int32(partition).int32(batch.length).raw(batch)
  return {
    apiKey: 0,
    apiVersion: 8,
    apiName: 'Produce',
    body: writer.finish(),
    read: (reader) => readAnswer(reader, topic, partition),
  }
}

function readAnswer(reader: WireReader, topic: string, partition: number): ProduceAnswer {
  const topics = reader.array((inner) => ({ topic: inner.string(), partitions: inner.array(readPartition) }))
  const answer = topics[0]?.partitions[0]
  const named =
    topics.length === 1 && topics[0]?.topic === topic && topics[0].partitions.length === 1
      ? answer
      : undefined
  if (named?.partition !== partition) throw new KafkaFault('the answer names another partition')
  return named
}

function readPartition(reader: WireReader) {
  const partition = reader.int32()
  const errorCode = reader.int16()
  reader.int64() // base offset
  reader.int64() // log append time
  reader.int64() // log start offset
  const refused = reader.array((record) => {
    const index = record.int32()
    record.nullableString() // the broker's words
    return index
  })
  reader.nullableString() // the broker's words
  return { partition, errorCode, refused }
}
