import { codeFault, KafkaFault } from './faults.ts'
import { type WireReader, type WireRequest, WireWriter } from './wire.ts'

export interface CommittedOffset {
  readonly offset: bigint
  readonly metadata: string
}

/**
 * OffsetFetch v7 with require_stable for one partition: null when nothing is committed there. Throws KafkaFault with the
 * error code; 88 (UNSTABLE_OFFSET_COMMIT) while a transaction that commits an offset is open.
 */
export function stableOffsetRequest(
  groupId: string,
  topic: string,
  partition: number,
): WireRequest<CommittedOffset | null> {
  const writer = new WireWriter().noTags().compactString(groupId)
  writer.unsignedVarint(2).compactString(topic)
  writer.unsignedVarint(2).int32(partition).noTags()
  writer.int8(1).noTags() // require stable
  return {
    apiKey: 9,
    apiVersion: 7,
    apiName: 'OffsetFetch',
    body: writer.finish(),
    read: (reader) => readOffset(reader, topic, partition),
  }
}

function readOffset(reader: WireReader, topic: string, partition: number): CommittedOffset | null {
  reader.skipTags()
  reader.int32() // throttle time
  const topics = reader.compactArray(readTopic)
  const errorCode = reader.int16()
  if (errorCode !== 0) throw codeFault(errorCode)
  const found = topics
    .find((candidate) => candidate.topic === topic)
    ?.partitions.find((candidate) => candidate.partition === partition)
  if (found === undefined) throw new KafkaFault('the answer names another partition')
  if (found.errorCode !== 0) throw codeFault(found.errorCode)
  return found.offset === -1n ? null : { offset: found.offset, metadata: found.metadata }
}

function readTopic(reader: WireReader) {
  const topic = reader.compactString()
  const partitions = reader.compactArray(readPartition)
  reader.skipTags()
  return { topic, partitions }
}

function readPartition(reader: WireReader) {
  const partition = reader.int32()
  const offset = reader.int64()
  reader.int32() // leader epoch
  const metadata = reader.compactNullableString() ?? ''
  const errorCode = reader.int16()
  reader.skipTags()
  return { partition, offset, metadata, errorCode }
}
