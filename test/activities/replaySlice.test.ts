import { randomUUID } from 'node:crypto'
import { expect, it } from 'vitest'
import { planReplay } from '../../activities/planReplay.ts'
import { replaySlice } from '../../activities/replaySlice.ts'
import { plainSpec, scopeOf, usePlatform } from './fixture.ts'

const { broker, platform, fill } = usePlatform('slice')

it('replays a range', { timeout: 60_000 }, async () => {
  const topic = await broker.makeTopic(1)
  await fill({ topic, count: 20_000 })
  const plan = await planReplay(platform.deps, scopeOf(), {
    replayId: randomUUID(),
    request: { topic, targetTopic: `${topic}-replay` },
    requestedBy: 'test',
  })
  const input = { planId: plan.planId, logId: plan.logs[0]?.logId ?? 0 }
  console.log(plan)
  const t = performance.now()
  const result = await replaySlice(platform.deps, scopeOf(), input)
  console.log(result, performance.now() - t)
  const found = await broker.readCommitted(`${topic}-replay`)
  expect(found.length).toBe(20_000)
  console.log(found[1], plainSpec(1n))
})
