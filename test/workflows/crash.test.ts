import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { ReplayView } from '../../src/domain/replayView.ts'
import { createReplayOperations, type ReplayOperations } from '../../src/replay/operations.ts'
import { createTemporalClient, type TemporalClient } from '../../src/replay/temporalClient.ts'
import { plainSpec, usePlatform } from '../activities/fixture.ts'
import { compare, perfect, rootOfSpecs } from '../activities/records.ts'
import { PlatformProcess, until } from '../support/platform.ts'
import { testServers } from '../support/servers.ts'

const { broker, platform, fill } = usePlatform('crash')
const partitions = [0, 1, 2, 3]
const perPartition = 60_000
const kills = 10
const taskQueue = `test-${randomUUID()}`
/** The bar of design §11. */
const resumeBarMs = 20_000
/** Small pages and long slices: on any machine a replay runs for a minute, all of it with the first worker. */
const slow = { REPLAY_PAGE_EVENTS: '4', REPLAY_SLICE_MS: '120000' }

let temporal: TemporalClient
let operations: ReplayOperations
const running: PlatformProcess[] = []

beforeAll(() => {
  const address = testServers().temporalAddress
  temporal = createTemporalClient({ address, namespace: 'default', taskQueue, apiKey: null, tls: null })
  operations = createReplayOperations({ ...platform.deps, temporal, taskQueue })
})
afterAll(async () => {
  await Promise.all(running.map((worker) => worker.kill()))
  await temporal.close()
})

function startWorker(settings: Record<string, string> = {}): PlatformProcess {
  const worker = new PlatformProcess('worker', {
    KAFKA_BROKERS: testServers().kafkaBrokers,
    KAFKA_TOPICS: 'not-a-target',
    DATABASE_URL: platform.database.appUrl,
    TEMPORAL_ADDRESS: testServers().temporalAddress,
    TEMPORAL_TASK_QUEUE: taskQueue,
    REPLAY_PAGE_EVENTS: '256',
    REPLAY_SLICE_MS: '5000',
    ...settings,
  })
  running.push(worker)
  return worker
}

/** Records and markers on the target, whether committed or not. */
async function targetEnd(target: string): Promise<bigint> {
  const ends = await Promise.all(partitions.map((partition) => broker.endOf(target, partition)))
  return ends.reduce((sum, end) => sum + end, 0n)
}

async function ended(replayId: string, timeoutMs: number): Promise<ReplayView> {
  return await until(
    async () => {
      const view = await operations.getReplay(replayId)
      return ['completed', 'failed', 'cancelled'].includes(view.status) && view
    },
    timeoutMs,
    () => running.at(-1)?.output ?? '',
  )
}

it(`kill -9 of the worker ${kills} times: every event once, in order, byte for byte`, {
  timeout: 600_000,
}, async () => {
  const topic = await broker.makeTopic(partitions.length)
  for (const partition of partitions) await fill({ topic, partition, count: perPartition })
  const specs = Array.from({ length: perPartition }, (_, index) => plainSpec(BigInt(index)))
  const rootHash = rootOfSpecs(specs)
  const events = String(perPartition)
  let worker = startWorker()
  // On a fast machine a replay is over before all kills are done: the next one takes the rest.
  for (let done = 0, number = 0; done < kills; number++) {
    const replayId = randomUUID()
    const target = `${topic}-killed-${number}`
    await operations.startReplay({ topic, targetTopic: target }, 'test', replayId)
    await until(
      () => broker.directory.describe(target),
      60_000,
      () => worker.output,
    )
    let last = 0n
    while (done < kills) {
      const seen = await until(
        async () => {
          const { status } = await operations.getReplay(replayId)
          if (status === 'completed') return status
          // More than the markers that a new owner leaves.
          return (await targetEnd(target)) > last + 20n && status
        },
        60_000,
        () => worker.output,
      )
      if (seen === 'completed') break
      // Before the first commit, in the middle, between two slices.
      await sleep(Math.random() * 1_500)
      await worker.kill()
      done += 1
      last = await targetEnd(target)
      worker = startWorker()
    }
    const view = await ended(replayId, 120_000)
    expect(view.status).toBe('completed')
    for (const partition of partitions) {
      const found = await broker.readCommitted(target, partition)
      expect(compare(found, specs, { replayId, topic, partition })).toEqual(perfect(perPartition))
    }
    expect(view.receipt).toEqual({
      events: String(perPartition * partitions.length),
      logs: partitions.map((partition) => ({ partition, events, rootHash })),
    })
  }
  await worker.stop()
})

it('what a killed worker was at is produced again within the bar', { timeout: 180_000 }, async () => {
  const topic = await broker.makeTopic(partitions.length)
  for (const partition of partitions) await fill({ topic, partition, count: perPartition })
  const target = `${topic}-resumed`
  const first = startWorker(slow)
  const { replayId } = await operations.startReplay({ topic, targetTopic: target }, 'test')
  const allBeyond = async (floors: readonly bigint[]) => {
    const ends = await Promise.all(partitions.map((partition) => broker.endOf(target, partition)))
    return ends.every((end, index) => end > (floors[index] ?? 0n) + 20n) && ends
  }
  await until(
    async () => (await broker.directory.describe(target)) !== null && (await allBeyond([])),
    60_000,
    () => first.output,
  )
  const second = startWorker(slow)
  await second.says('taking work from Temporal')
  const killedAt = performance.now()
  await first.kill()
  const ends = await Promise.all(partitions.map((partition) => broker.endOf(target, partition)))
  await until(
    () => allBeyond(ends),
    60_000,
    () => second.output,
  )
  const resumedAfterMs = performance.now() - killedAt
  process.stderr.write(`all logs produce again ${Math.round(resumedAfterMs)} ms after kill -9\n`)
  expect(resumedAfterMs).toBeLessThan(resumeBarMs)
  await operations.cancelReplay(replayId)
  expect((await ended(replayId, 60_000)).status).toBe('cancelled')
  await second.stop()
})

it('a worker that slept through the end of a replay adds nothing when it wakes', {
  timeout: 300_000,
}, async () => {
  const topic = await broker.makeTopic(partitions.length)
  for (const partition of partitions) await fill({ topic, partition, count: perPartition })
  const replayId = randomUUID()
  const target = `${topic}-frozen`
  const frozen = startWorker(slow)
  await operations.startReplay({ topic, targetTopic: target }, 'test', replayId)
  await until(
    async () => (await broker.directory.describe(target)) !== null && (await targetEnd(target)) > 1_000n,
    60_000,
    () => frozen.output,
  )
  frozen.signal('SIGSTOP')
  const other = startWorker(slow)
  await operations.cancelReplay(replayId)
  const view = await ended(replayId, 120_000)
  expect(view.status).toBe('cancelled')
  const before = await targetEnd(target)

  frozen.signal('SIGCONT')
  await sleep(5_000)
  expect(frozen.isRunning).toBe(true)
  expect(await targetEnd(target)).toBe(before)
  for (const { partition, events, cursor } of view.logs) {
    const found = await broker.readCommitted(target, partition)
    const specs = Array.from({ length: Number(cursor) }, (_, index) => plainSpec(BigInt(index)))
    expect(compare(found, specs, { replayId, topic, partition })).toEqual(perfect(Number(events)))
  }
  await Promise.all([frozen.stop(), other.stop()])
})
