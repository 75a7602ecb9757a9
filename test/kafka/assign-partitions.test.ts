import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { assignPartitions, type GroupMember } from '../../src/kafka/assign-partitions.ts'
import { decodeMemberState, encodeMemberState } from '../../src/kafka/member-state.ts'

const topicNames = ['a', 'b', 'c', 'gone']
const member = fc.record({
  id: fc.uuid(),
  topics: fc.subarray(topicNames, { minLength: 1 }),
  instance: fc.constantFrom('p1', 'p2', 'p3'),
  owned: fc.array(fc.integer({ min: 0, max: 12 }), { maxLength: 8 }),
})
const group = fc.uniqueArray(member, { minLength: 1, maxLength: 8, selector: ({ id }) => id })
const counts = fc
  .record({ a: fc.integer({ min: 0, max: 12 }), b: fc.integer({ min: 1, max: 5 }), c: fc.constant(1) })
  .map((sizes) => new Map([...Object.entries(sizes), ['gone', 0]]))

const shareOf = (assignment: ReturnType<typeof assignPartitions>, { id }: GroupMember, topic: string) =>
  assignment.get(id)?.[topic] ?? []

describe('partitions are shared out', () => {
  test('each to exactly one member that subscribed to its topic, in shares that differ by one at most', () => {
    fc.assert(
      fc.property(group, counts, (members, sizes) => {
        const assignment = assignPartitions(members, sizes)
        for (const [topic, size] of sizes) {
          const subscribed = members.filter(({ topics }) => topics.includes(topic))
          const shares = subscribed.map((one) => shareOf(assignment, one, topic))
          const all = members.flatMap((one) => shareOf(assignment, one, topic)).sort((a, b) => a - b)
          expect(all).toEqual(subscribed.length === 0 ? [] : Array.from({ length: size }, (_, i) => i))
          const lengths = shares.map(({ length }) => length)
          if (lengths.length > 0) expect(Math.max(...lengths) - Math.min(...lengths)).toBeLessThanOrEqual(1)
        }
      }),
    )
  })

  test('in whatever order the members are listed', () => {
    fc.assert(
      fc.property(group, counts, (members, sizes) => {
        expect(assignPartitions(members.toReversed(), sizes)).toEqual(assignPartitions(members, sizes))
      }),
    )
  })

  test('a member keeps what it holds when nothing has changed', () => {
    fc.assert(
      fc.property(group, counts, (members, sizes) => {
        const alone = members.map((one) => ({ ...one, topics: ['a'] }))
        const first = assignPartitions(alone, sizes)
        const again = alone.map((one) => ({ ...one, owned: shareOf(first, one, 'a') }))
        expect(assignPartitions(again, sizes)).toEqual(first)
      }),
    )
  })

  test('topics of one partition each spread over the processes', () => {
    const topics = Array.from({ length: 10 }, (_, i) => `t${i}`)
    const members = topics.flatMap((topic) =>
      ['p1', 'p2'].map((instance) => ({ id: `${topic}-${instance}`, topics: [topic], instance, owned: [] })),
    )
    const assignment = assignPartitions(members, new Map(topics.map((topic) => [topic, 1])))
    const ofFirst = members.filter(
      ({ instance, id }) => instance === 'p1' && Object.keys(assignment.get(id) ?? {}).length > 0,
    )
    expect(ofFirst).toHaveLength(5)
  })
})

test('what a member tells comes back; what other versions tell is nothing to go by', () => {
  const state = { instance: 'p1', owned: [1, 2], partitions: [3] }
  expect(decodeMemberState(encodeMemberState(state))).toEqual({ instance: 'p1', owned: [1, 2] })
  for (const odd of ['', 'null', '[]', '{"owned":7}', '\u0000']) {
    expect(decodeMemberState(Buffer.from(odd))).toEqual({ instance: '', owned: [] })
  }
})
