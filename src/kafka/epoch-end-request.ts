import { codeFault, KafkaFault } from './faults.ts'
import { type WireReader, type WireRequest, WireWriter } from './wire.ts'

/**
 * OffsetForLeaderEpoch v3 for one partition. Answers where the epoch (or the newest one before it) ends, null when the
 * broker knows no such epoch. Throws KafkaFault with the partition's error code.
 */
export function epochEndRequest(
  topic: string,
  partition: number,
  leaderEpoch: number,
): WireRequest<bigint | null> {
  const writer = new WireWriter().int32(-1) // a consumer asks
  writer.int32(1).string(topic)
  writer.int32(1).int32(partition).int32(-1).int32(leaderEpoch)
  return {
    apiKey: 23,
    apiVersion: 3,
    apiName: 'OffsetForLeaderEpoch',
    body: writer.finish(),
    read: (reader) => readEpochEnd(reader, partition),
  }
}

function readEpochEnd(reader: WireReader, partition: number): bigint | null {
  reader.int32() // throttle time
  const [answer] = reader.array((topic) => {
    topic.string()
    return topic.array(readPartition)
  })
  const found = answer?.find((candidate) => candidate.partition === partition)
  if (found === undefined) throw new KafkaFault('the answer names another partition')
  if (found.errorCode !== 0) throw codeFault(found.errorCode)
  return found.endOffset < 0n ? null : found.endOffset
}

function readPartition(reader: WireReader) {
  const errorCode = reader.int16()
  const partition = reader.int32()
  reader.int32() // the epoch that was found
  return { errorCode, partition, endOffset: reader.int64() }
}
