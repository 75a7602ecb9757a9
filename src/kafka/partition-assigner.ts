import { AssignerProtocol, type PartitionAssigner } from 'kafkajs'
import type { TopicDirectory } from '../ports.ts'
import { assignPartitions, type GroupMember } from './assign-partitions.ts'
import type { KafkaCluster } from './internals.ts'
import { decodeMemberState, encodeMemberState } from './member-state.ts'

export const assignerName = 'streaming-ingest-v1'

/**
 * kafkajs' own assigner takes every member to have the leader's subscriptions, which strands the partitions of all other
 * topics when each topic has a consumer of its own. This one reads what each member subscribed to, and asks Kafka how many
 * partitions those topics have; a topic that does not exist is left out.
 *
 * `owned` tells what this member holds now, `instance` names its process: what it holds it keeps where that is balanced.
 */
export function createPartitionAssigner(
  directory: TopicDirectory,
  instance: string,
  owned: () => readonly number[],
): PartitionAssigner {
  return ({ cluster }) => {
    // kafkajs' cluster type says less than kafkajs' cluster can do.
    const known = cluster as unknown as KafkaCluster
    return {
      name: assignerName,
      version: 0,
      protocol({ topics }) {
        // The partition count is told so that a member that sees new partitions rejoins with other metadata: only then
        // does the coordinator start a rebalance for a member that does not lead the group.
        const partitions = topics.map((topic) => known.findTopicPartitionMetadata(topic).length)
        const userData = encodeMemberState({ instance, owned: owned(), partitions })
        return {
          name: assignerName,
          metadata: AssignerProtocol.MemberMetadata.encode({ version: 0, topics, userData }),
        }
      },
      async assign({ members }) {
        const group = members.map(({ memberId, memberMetadata }): GroupMember => {
          const metadata = AssignerProtocol.MemberMetadata.decode(memberMetadata)
          const state = decodeMemberState(metadata?.userData ?? Buffer.alloc(0))
          return { id: memberId, topics: metadata?.topics ?? [], ...state }
        })
        const counts = await partitionCounts(directory, group)
        const assignment = assignPartitions(group, counts)
        return members.map(({ memberId }) => ({
          memberId,
          memberAssignment: AssignerProtocol.MemberAssignment.encode({
            version: 0,
            assignment: assignment.get(memberId) ?? {},
            userData: Buffer.alloc(0),
          }),
        }))
      },
    }
  }
}

async function partitionCounts(
  directory: TopicDirectory,
  group: readonly GroupMember[],
): Promise<ReadonlyMap<string, number>> {
  const topics = [...new Set(group.flatMap((member) => member.topics))]
  const counts = await Promise.all(
    topics.map(async (topic) => [topic, (await directory.describe(topic))?.partitions.length ?? 0] as const),
  )
  return new Map(counts)
}
