/** Requests to a cluster that is to be watched and moved (https://kafka.apache.org/protocol.html), and their answers. */
import { WireReader, WireWriter } from '../../../src/kafka/wire.ts'

export interface ClusterRequest<T> {
  readonly key: number
  readonly version: number
  readonly body: Buffer
  /** Throws ClusterError for the error code of the whole answer. */
  readonly read: (answer: Buffer) => T
}

export class ClusterError extends Error {
  readonly code: number

  constructor(what: string, code: number) {
    super(`${what}: error ${code}`)
    this.code = code
  }
}

export interface PartitionPlace {
  readonly topic: string
  readonly partition: number
}

export interface PartitionState extends PartitionPlace {
  /** −1: none. */
  readonly leader: number
  /** The first one is the preferred leader. */
  readonly replicas: readonly number[]
  readonly inSync: readonly number[]
}

const required = (what: string, code: number): void => {
  if (code !== 0) throw new ClusterError(what, code)
}

/** Metadata v5: partitions of these topics as the node knows them. */
export function describeTopics(topics: readonly string[]): ClusterRequest<PartitionState[]> {
  const writer = new WireWriter().int32(topics.length)
  for (const topic of topics) writer.string(topic)
  return { key: 3, version: 5, body: writer.int8(0).finish(), read: readTopics }
}

function readTopics(answer: Buffer): PartitionState[] {
  const reader = new WireReader(answer)
  const int32 = (from: WireReader): number => from.int32()
  reader.int32() // throttle time
  reader.array((node) => [node.int32(), node.string(), node.int32(), node.nullableString()])
  reader.nullableString() // cluster id
  reader.int32() // controller: any broker, since KRaft
  return reader
    .array((from) => {
      const errorCode = from.int16()
      const topic = from.string()
      required(`topic ${topic}`, errorCode)
      from.int8() // is internal
      return from.array((inner): PartitionState => {
        inner.int16() // error code: a missing leader shows as −1
        const [partition, leader] = [inner.int32(), inner.int32()]
        const [replicas, inSync] = [inner.array(int32), inner.array(int32)]
        inner.array(int32) // offline replicas
        return { topic, partition, leader, replicas, inSync }
      })
    })
    .flat()
}

const coordinatorTypes = { group: 0, transaction: 1 } as const
export type CoordinatorKind = keyof typeof coordinatorTypes

/** FindCoordinator v1: the id of the node. */
export const findCoordinator = (kind: CoordinatorKind, name: string): ClusterRequest<number> => ({
  key: 10,
  version: 1,
  body: new WireWriter().string(name).int8(coordinatorTypes[kind]).finish(),
  read: (answer) => {
    const reader = new WireReader(answer)
    reader.int32() // throttle time
    required(`the ${kind} coordinator`, reader.int16())
    reader.nullableString()
    return reader.int32()
  },
})

/** DescribeQuorum v0: which node is the active controller. */
export const findController = (): ClusterRequest<number> => ({
  key: 55,
  version: 0,
  body: new WireWriter()
    .noTags()
    .unsignedVarint(2)
    .compactString('__cluster_metadata')
    .unsignedVarint(2)
    .int32(0)
    .noTags()
    .noTags()
    .noTags()
    .finish(),
  read: (answer) => {
    const reader = new WireReader(answer)
    reader.skipTags()
    required('the quorum', reader.int16())
    reader.unsignedVarint() // topics
    reader.compactString()
    reader.unsignedVarint() // partitions
    reader.int32()
    required('the quorum', reader.int16())
    return reader.int32()
  },
})

/** AlterPartitionReassignments v0: where the partition's replicas shall be, the preferred leader first. */
export function reassign(
  { topic, partition }: PartitionPlace,
  replicas: readonly number[],
): ClusterRequest<void> {
  const writer = new WireWriter().noTags().int32(10_000)
  writer.unsignedVarint(2).compactString(topic).unsignedVarint(2).int32(partition)
  writer.unsignedVarint(replicas.length + 1)
  for (const replica of replicas) writer.int32(replica)
  return {
    key: 45,
    version: 0,
    body: writer.noTags().noTags().noTags().finish(),
    read: (answer) => {
      const reader = new WireReader(answer)
      reader.skipTags()
      reader.int32() // throttle time
      required('the reassignment', reader.int16())
      reader.compactNullableString()
      reader.unsignedVarint() // topics
      reader.compactString()
      reader.unsignedVarint() // partitions
      reader.int32()
      required(`the reassignment of ${topic}/${partition}`, reader.int16())
    },
  }
}

const electionNotNeeded = 84

/** ElectLeaders v1: the preferred leader becomes the leader; false when it is already, or is not in sync. */
export const electPreferred = ({ topic, partition }: PartitionPlace): ClusterRequest<boolean> => ({
  key: 43,
  version: 1,
  body: new WireWriter().int8(0).int32(1).string(topic).int32(1).int32(partition).int32(10_000).finish(),
  read: (answer) => {
    const reader = new WireReader(answer)
    reader.int32() // throttle time
    required('the election', reader.int16())
    const [code = electionNotNeeded] = reader
      .array((topics) => {
        topics.string()
        return topics.array((inner) => {
          inner.int32()
          const errorCode = inner.int16()
          inner.nullableString()
          return errorCode
        })
      })
      .flat()
    if (code === electionNotNeeded || code === preferredNotAvailable) return false
    required(`the election of ${topic}/${partition}`, code)
    return true
  },
})

const preferredNotAvailable = 80
