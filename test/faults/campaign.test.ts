import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { type Campaign, runCampaign } from '../../bench/faults/campaign.ts'
import type { Bed, Outcome, Scenario, ScenarioContext } from '../../bench/faults/contract.ts'
import { noDamage } from '../../bench/faults/damage.ts'
import { MendedBed } from '../../bench/faults/servers.ts'
import type { TopicReader } from '../../bench/judge/reader.ts'

const none = (): never => {
  throw new Error('no server is needed here')
}
const serverless: Bed = { kafka: none, cluster: none, postgres: none, temporal: none, logs: '', close: none }
const bed = new MendedBed(serverless)
const reader: TopicReader = { name: 'nobody', read: none }

const outcome: Outcome = {
  rounds: 1,
  faults: 0,
  events: 0,
  damage: noDamage,
  longestRecoveryMs: null,
  problems: [],
  notes: [],
}

const scenario = (
  name: string,
  run: (context: ScenarioContext) => Promise<Outcome>,
  limitMs = 60_000,
): Scenario => ({
  name,
  group: 'limits',
  title: '',
  rounds: { full: 1, short: 1 },
  limitMs: () => limitMs,
  run,
})

const campaign = (scenarios: readonly Scenario[], signal = new AbortController().signal): Campaign => ({
  bed,
  reader,
  planned: scenarios.map((one) => ({ scenario: one, rounds: 3 })),
  seed: 1,
  short: false,
  strictTimes: false,
  say: { line: () => undefined, progress: () => undefined },
  signal,
})

it('goes on after a scenario that throws', async () => {
  const results = await runCampaign(
    campaign([
      scenario('limits-a', () => Promise.reject(new Error('it broke'))),
      scenario('limits-b', ({ rounds }) => Promise.resolve({ ...outcome, rounds })),
    ]),
  )
  expect(results.map(({ failure }) => failure)).toEqual(['it broke', null])
  expect(results[1]?.outcome?.rounds).toBe(3)
})

it('ends a scenario that takes too long and names it', async () => {
  const results = await runCampaign(
    campaign([
      scenario(
        'limits-slow',
        async ({ signal }) => {
          await sleep(60_000, undefined, { signal })
          return outcome
        },
        50,
      ),
      scenario('limits-next', () => Promise.resolve(outcome)),
    ]),
  )
  expect(results[0]?.failure).toContain('limits-slow took longer than')
  expect(results[1]?.outcome).toEqual(outcome)
})

it('stops when it is asked to, with what it has', async () => {
  const asked = new AbortController()
  const results = await runCampaign(
    campaign(
      [
        scenario('limits-a', () => Promise.resolve(outcome)),
        scenario('limits-b', async ({ signal }) => {
          asked.abort()
          await sleep(60_000, undefined, { signal })
          return outcome
        }),
        scenario('limits-c', none),
      ],
      asked.signal,
    ),
  )
  expect(results.map(({ scenario: { name } }) => name)).toEqual(['limits-a'])
})

it('gives the same scenario the same choices, whatever runs beside it', async () => {
  const drawn: number[] = []
  const draws = scenario('limits-draws', async ({ random }) => {
    drawn.push(random.next())
    return outcome
  })
  const other = scenario('limits-other', async ({ random }) => {
    drawn.push(random.next())
    return outcome
  })
  await runCampaign(campaign([draws]))
  await runCampaign(campaign([other, draws]))
  expect(drawn[2]).toBe(drawn[0])
  expect(drawn[1]).not.toBe(drawn[0])
})

it('tells of a recovery above the bar, as a problem where times are strict', async () => {
  const slow = scenario('limits-slow', () => Promise.resolve({ ...outcome, longestRecoveryMs: 20_001 }))
  const told = async (one: Scenario, strictTimes: boolean) =>
    (await runCampaign({ ...campaign([one]), strictTimes }))[0]?.outcome
  const text = 'the longest recovery took 20.0 s, the bar is 20.0 s'
  expect(await told(slow, false)).toMatchObject({ problems: [], notes: [text] })
  expect(await told(slow, true)).toMatchObject({ problems: [text], notes: [] })
  expect(await told({ ...slow, recoveryBarMs: 20_001 }, true)).toMatchObject({ problems: [], notes: [] })
  expect(await told({ ...slow, recoveryBarMs: null }, true)).toMatchObject({ problems: [], notes: [] })
})
