import { describe, expect, it } from 'vitest'
import { logId, offset } from '../../src/domain/model.ts'
import { planHash } from '../../src/domain/planHash.ts'
import type { ReplayPlan } from '../../src/domain/replay.ts'

const plan: Omit<ReplayPlan, 'planHash'> = {
  replayId: 'r1',
  planId: '3f2a9c1e-7d54-4b8a-9e0f-5c6d7e8f9a0b',
  request: { topic: 'events' },
  topic: 'events',
  targetTopic: 'events-replay',
  targetTopicId: '3f2a9c1e-7d54-4b8a-9e0f-5c6d7e8f9a0c',
  filters: {},
  checkpointId: null,
  logs: [
    {
      logId: logId(1),
      partition: 0,
      from: offset(0n),
      to: offset(2n ** 60n),
      planned: 5n,
      targetPartition: 0,
    },
  ],
}

describe('plan hash', () => {
  it('does not depend on the order of members, nor on a hash that is there already', () => {
    const { topic, ...rest } = plan
    expect(planHash({ ...rest, topic })).toBe(planHash(plan))
    expect(planHash({ ...plan, planHash: 'old' } as ReplayPlan)).toBe(planHash(plan))
    expect(planHash(plan)).toMatch(/^[0-9a-f]{64}$/)
  })

  it('changes with every part of the plan, down to the last offset', () => {
    const [log] = plan.logs
    if (log === undefined) throw new Error('there is one')
    const hashes = [
      plan,
      { ...plan, logs: [{ ...log, to: offset(2n ** 60n + 1n) }] },
      { ...plan, filters: { sources: ['a'] } },
      { ...plan, targetTopic: 'other' },
    ].map(planHash)
    expect(new Set(hashes).size).toBe(4)
  })
})
