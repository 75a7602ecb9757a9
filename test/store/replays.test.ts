import { randomUUID } from 'node:crypto'
import { expect, test } from 'vitest'
import { sha256 } from '../../src/domain/hash.ts'
import { offset } from '../../src/domain/model.ts'
import type { ReplayPlan } from '../../src/domain/replay.ts'
import { openLog, useStore } from './fixture.ts'

const fixture = useStore('replays')

async function aPlan(partitions: readonly number[] = [0, 1]): Promise<ReplayPlan> {
  const logs = []
  for (const partition of partitions) {
    const { log } = await openLog(fixture.store, 0n, partition)
    logs.push({
      logId: log.logId,
      partition,
      from: offset(3n),
      to: offset(2n ** 60n),
      planned: 2n ** 55n,
      targetPartition: partition + 10,
    })
  }
  return {
    replayId: `replay ${randomUUID()}`,
    planId: randomUUID(),
    planHash: 'a'.repeat(64),
    request: { topic: 'events', filters: { eventTypes: ['a\u0000', '\ud800'] } },
    topic: 'events',
    targetTopic: 'events-replay',
    targetTopicId: randomUUID(),
    filters: { eventTypes: ['a'] },
    checkpointId: null,
    logs,
  }
}

test('a plan is stored as it is, once per replay id', async () => {
  const { replays } = fixture.store
  const plan = await aPlan()
  const stored = await replays.insertPlan(plan, 'me')
  expect(stored).toEqual({
    plan,
    status: 'planning',
    createdAt: expect.any(Date),
    createdBy: 'me',
    logs: plan.logs.map((log) => ({ ...log, started: false, cursor: log.from, events: 0n, rootHash: null })),
    receipt: null,
    error: null,
  })
  const again = { ...(await aPlan([5])), replayId: plan.replayId }
  expect(await replays.insertPlan(again, 'you')).toEqual(stored)
  expect(await replays.getReplay(plan.replayId)).toEqual(stored)
  expect(await replays.getPlan(plan.planId)).toEqual(stored)
  expect(await replays.getPlan(again.planId)).toBeNull()
  for (const id of ['nothing', 'nul\u0000', '']) {
    expect(await replays.getReplay(id)).toBeNull()
    expect(await replays.getPlan(id)).toBeNull()
  }
})

test('started is set by one caller only', async () => {
  const { replays } = fixture.store
  const plan = await aPlan()
  await replays.insertPlan(plan, 'me')
  const [first, second] = plan.logs
  if (first === undefined || second === undefined) throw new Error('two logs')
  const answers = await Promise.all(
    Array.from({ length: 5 }, () => replays.markStarted(plan.planId, first.logId)),
  )
  expect(answers.filter(Boolean)).toHaveLength(1)
  expect((await replays.getPlan(plan.planId))?.logs.map((log) => log.started)).toEqual([true, false])
  expect(await replays.markStarted(plan.planId, second.logId)).toBe(true)
})

test('the mirror of progress never goes back', async () => {
  const { replays } = fixture.store
  const plan = await aPlan([0])
  await replays.insertPlan(plan, 'me')
  const id = plan.logs[0]?.logId
  if (id === undefined) throw new Error('one log')
  const root = sha256('root')
  await replays.mirrorProgress(plan.planId, id, offset(50n), 40n, root)
  await replays.mirrorProgress(plan.planId, id, offset(20n), 10n, null)
  expect((await replays.getPlan(plan.planId))?.logs).toMatchObject([
    { cursor: 50n, events: 40n, rootHash: root },
  ])
})

test('a replay that has ended stays ended', async () => {
  const { replays } = fixture.store
  const plan = await aPlan([0])
  await replays.insertPlan(plan, 'me')
  for (const status of ['running', 'paused', 'running'] as const) {
    await replays.setStatus(plan.planId, status)
    expect((await replays.getPlan(plan.planId))?.status).toBe(status)
  }
  const receipt = { events: 2n ** 55n, logs: [{ partition: 0, events: 2n ** 55n, rootHash: sha256('x') }] }
  await replays.setStatus(plan.planId, 'completed', { receipt })
  await replays.setStatus(plan.planId, 'running')
  await replays.setStatus(plan.planId, 'failed', { error: { code: 'INTERNAL', detail: 'late' } })
  expect(await replays.getPlan(plan.planId)).toMatchObject({ status: 'completed', receipt, error: null })

  const failed = await aPlan([0])
  await replays.insertPlan(failed, 'me')
  await replays.setStatus(failed.planId, 'failed', { error: { code: 'CURSOR_LOST', detail: 'gone\u0000' } })
  expect(await replays.getPlan(failed.planId)).toMatchObject({
    status: 'failed',
    error: { code: 'CURSOR_LOST', detail: 'gone\ufffd' },
  })
})

test('only what failed with the code is reopened, and its end is forgotten', async () => {
  const { replays } = fixture.store
  const plan = await aPlan([0])
  await replays.insertPlan(plan, 'me')
  await replays.setStatus(plan.planId, 'failed', { error: { code: 'TARGET_MISSING', detail: 'gone' } })
  await replays.reopen(plan.planId, 'CURSOR_LOST')
  expect(await replays.getPlan(plan.planId)).toMatchObject({ status: 'failed' })
  await replays.reopen(plan.planId, 'TARGET_MISSING')
  expect(await replays.getPlan(plan.planId)).toMatchObject({ status: 'running', error: null })
  await replays.setStatus(plan.planId, 'cancelled', { error: { code: 'CANCELLED', detail: 'by me' } })
  await replays.reopen(plan.planId, 'CANCELLED')
  expect(await replays.getPlan(plan.planId)).toMatchObject({ status: 'cancelled' })
})

test('replays are listed newest first, page by page, by status', async () => {
  const { replays } = fixture.store
  const plans: ReplayPlan[] = []
  for (let i = 0; i < 7; i++) {
    const plan = await aPlan([])
    plans.unshift(plan)
    await replays.insertPlan(plan, 'me')
    if (i % 2 === 0) await replays.setStatus(plan.planId, 'paused')
  }
  const seen: string[] = []
  let cursor: string | undefined
  for (let pages = 0; pages < 3; pages++) {
    const page = await replays.listReplays({ limit: 3, ...(cursor === undefined ? {} : { cursor }) })
    seen.push(...page.items.map((record) => record.plan.replayId))
    if (page.nextCursor === null) break
    cursor = page.nextCursor
  }
  expect(seen.slice(0, 7)).toEqual(plans.map((plan) => plan.replayId))
  const paused = await replays.listReplays({ limit: 100, status: 'paused' })
  expect(paused.items.map((record) => record.plan.replayId)).toEqual(
    plans.filter((_, i) => i % 2 === 0).map((plan) => plan.replayId),
  )
  expect(paused.nextCursor).toBeNull()
  await expect(replays.listReplays({ limit: 3, cursor: 'nonsense' })).rejects.toMatchObject({
    code: 'BAD_REQUEST',
    fields: [{ path: 'cursor' }],
  })
})
