import type { MemberState } from './member-state.ts'

export interface GroupMember extends MemberState {
  readonly id: string
  readonly topics: readonly string[]
}

export type Assignment = Record<string, number[]>

/**
 * Who reads which partitions. Every partition of every topic goes to one member that subscribed to the topic; per topic the
 * members' shares differ by one at most; a member keeps what it holds up to its share; what is left goes to the process
 * that has least. The same group gives the same answer in whatever order it is listed.
 */
export function assignPartitions(
  group: readonly GroupMember[],
  partitionCounts: ReadonlyMap<string, number>,
): Map<string, Assignment> {
  const members = group.toSorted((a, b) => compare(a.id, b.id))
  const assignment = new Map(members.map(({ id }): [string, Assignment] => [id, {}]))
  const load = new Map<string, number>()
  const give = (member: GroupMember, topic: string, partition: number) => {
    const topics = assignment.get(member.id) ?? {}
    topics[topic] = [...(topics[topic] ?? []), partition]
    load.set(member.instance, (load.get(member.instance) ?? 0) + 1)
  }
  for (const topic of [...partitionCounts.keys()].sort(compare)) {
    const subscribed = members.filter(({ topics }) => topics.includes(topic))
    assignTopic(subscribed, partitionCounts.get(topic) ?? 0, load, (member, partition) =>
      give(member, topic, partition),
    )
  }
  for (const topics of assignment.values()) {
    for (const partitions of Object.values(topics)) partitions.sort((a, b) => a - b)
  }
  return assignment
}

function assignTopic(
  members: readonly GroupMember[],
  count: number,
  load: ReadonlyMap<string, number>,
  give: (member: GroupMember, partition: number) => void,
): void {
  if (members.length === 0) return
  const shares = new Map(members.map(({ id }) => [id, 0]))
  const assign = (member: GroupMember, partition: number) => {
    shares.set(member.id, (shares.get(member.id) ?? 0) + 1)
    give(member, partition)
  }
  const share = Math.floor(count / members.length)
  let larger = count % members.length
  const free = new Set(Array.from({ length: count }, (_, partition) => partition))
  for (const member of members) {
    const held = [...new Set(member.owned)].filter((partition) => free.has(partition)).sort((a, b) => a - b)
    const kept = held.slice(0, share + (larger > 0 ? 1 : 0))
    if (kept.length > share) larger--
    for (const partition of kept) {
      free.delete(partition)
      assign(member, partition)
    }
  }
  for (const partition of free) {
    const next = members.toSorted(
      (a, b) =>
        (shares.get(a.id) ?? 0) - (shares.get(b.id) ?? 0) ||
        (load.get(a.instance) ?? 0) - (load.get(b.instance) ?? 0),
    )[0]
    if (next !== undefined) assign(next, partition)
  }
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)
