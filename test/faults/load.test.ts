import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { api, type Frame, type Passage, type Verdict } from '../../bench/faults/contract.ts'
import { judgeSource } from '../../bench/faults/judgeTarget.ts'
import { SteadyLoad } from '../../bench/faults/load.ts'
import { openPassage } from '../../bench/faults/passage/passage.ts'
import { createKafkajsReader } from '../../bench/judge/kafkajsReader.ts'
import { until } from '../support/platform.ts'
import { testServers } from '../support/servers.ts'
import { TestKafka } from '../support/source.ts'

const partitions = 3
const [broker = ''] = testServers().kafkaBrokers.split(',')
let kafka: TestKafka
let passage: Passage
let load: SteadyLoad

beforeAll(async () => {
  kafka = await TestKafka.connect()
  passage = await openPassage({ target: broker, protocol: 'kafka' })
})
afterAll(async () => {
  await passage.close()
  await kafka.close()
})
beforeEach(async () => {
  const topic = await kafka.topic(partitions, { 'retention.ms': '-1' })
  const signal = AbortSignal.timeout(50_000)
  load = new SteadyLoad({ brokers: broker, topic, partitions, seed: 5, signal, route: () => passage.address })
})
afterEach(async () => {
  passage.reset()
  await load.stop()
})

/** What the score says, the topic holds, each record once and in its place. */
async function expectAsScored(): Promise<void> {
  const score = load.score()
  expect(await judgeSource(createKafkajsReader(), broker, score, AbortSignal.timeout(30_000))).toEqual([])
  const offsets = await kafka.admin.fetchTopicOffsets(score.topic)
  const ends = offsets.sort((a, b) => a.partition - b.partition).map(({ high }) => Number(high))
  expect(ends).toEqual(score.ends)
}

const isProduce = (frame: Frame): boolean => frame.protocol === 'kafka' && frame.apiKey === api.produce

/** For one produce request in `every`. */
function now(every: number, verdict: Verdict): (frame: Frame) => Verdict {
  let seen = 0
  return (frame) => (isProduce(frame) && ++seen % every === 0 ? verdict : 'pass')
}

describe('a steady load', () => {
  it('is what its score says when nothing happens', async () => {
    await load.produceBatches(30)
    const score = load.score()
    expect(score.produced).toBe(30 * 40)
    expect(score.accepted).toBeLessThan(score.produced)
    expect(load.resent).toBe(0)
    await expectAsScored()
  })

  it.each<[string, { request?: (frame: Frame) => Verdict; answer?: (frame: Frame) => Verdict }]>([
    ['requests that never arrive', { request: now(7, 'cut') }],
    ['answers that never arrive', { answer: now(7, 'cut') }],
    ['requests that arrive when they were long sent again', { request: now(7, { lateMs: 150 }) }],
  ])('settles %s', async (_what, tap) => {
    passage.tap(tap)
    await load.produceBatches(60)
    expect(load.resent).toBeGreaterThan(3)
    // What was held back has arrived by then.
    await sleep(300)
    await expectAsScored()
  })

  it('goes on when the broker is back', async () => {
    const reaches = (produced: number): Promise<unknown> =>
      until(
        () => load.score().produced > produced,
        20_000,
        () => `${load.score().produced} produced`,
      )
    await load.start(3_000)
    await reaches(0)
    passage.shut()
    const before = load.score().produced
    await sleep(700)
    passage.open()
    await reaches(before + 40 * partitions)
    await load.pause()
    await expectAsScored()
  })

  it('says why when the broker refuses a batch for good', async () => {
    const value = Buffer.alloc(2_000_000, 'x')
    const record = { key: null, value, headers: [], timestamp: 1_760_000_000_000 }
    const batch = { partition: 1, codec: 'none', records: [{ record, fate: 'TOO_LARGE' }] } as const
    await expect(load.produce(batch)).rejects.toThrow('error 10')
    expect(load.score().produced).toBe(0)
  })
})
