import { type WireReader, type WireRequest, WireWriter } from './wire.ts'

export interface ClusterMetadata {
  readonly controllerId: number
  readonly nodes: readonly { readonly id: number; readonly host: string; readonly port: number }[]
  readonly topics: readonly TopicMetadata[]
}

export interface TopicMetadata {
  readonly errorCode: number
  readonly name: string
  readonly topicId: string
  readonly partitions: readonly {
    readonly partition: number
    readonly leader: number
    readonly leaderEpoch: number
  }[]
}

/** Metadata v10 (Kafka 2.8): the first version that tells topic ids. Never creates a topic. */
export function metadataRequest(topics: readonly string[]): WireRequest<ClusterMetadata> {
  const writer = new WireWriter().noTags().unsignedVarint(topics.length + 1)
  for (const topic of topics) writer.raw(Buffer.alloc(16)).compactString(topic).noTags()
  // No topic creation, no authorised operations of cluster and topics.
  writer.int8(0).int8(0).int8(0).noTags()
  return { apiKey: 3, apiVersion: 10, apiName: 'Metadata', body: writer.finish(), read: readMetadata }
}

function readMetadata(reader: WireReader): ClusterMetadata {
  reader.skipTags()
  reader.int32() // throttle time
  const nodes = reader.compactArray(readNode)
  reader.compactNullableString() // cluster id
  const controllerId = reader.int32()
  return { nodes, controllerId, topics: reader.compactArray(readTopic) }
}

function readNode(reader: WireReader): ClusterMetadata['nodes'][number] {
  const node = { id: reader.int32(), host: reader.compactString(), port: reader.int32() }
  reader.compactNullableString() // rack
  reader.skipTags()
  return node
}

function readTopic(reader: WireReader): TopicMetadata {
  const errorCode = reader.int16()
  const name = reader.compactString()
  const topicId = uuidText(reader.raw(16))
  reader.int8() // is internal
  const partitions = reader.compactArray(readPartition)
  reader.int32() // authorised operations
  reader.skipTags()
  return { errorCode, name, topicId, partitions }
}

function readPartition(reader: WireReader): TopicMetadata['partitions'][number] {
  reader.int16() // error code: a missing leader shows as −1
  const partition = reader.int32()
  const leader = reader.int32()
  const leaderEpoch = reader.int32()
  for (let list = 0; list < 3; list++) reader.compactArray((inner) => inner.int32())
  reader.skipTags()
  return { partition, leader, leaderEpoch }
}

/** Lower case, with dashes. */
const uuidText = (bytes: Buffer): string =>
  bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
