import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ServiceError } from '../../src/errors.ts'
import { createReplayOperations } from '../../src/replay/operations.ts'
import { createTemporalClient } from '../../src/replay/temporalClient.ts'
import { startReplayWorker } from '../../src/replay/worker.ts'
import { plainSpec, usePlatform } from '../activities/fixture.ts'
import { compare, perfect } from '../activities/records.ts'
import { until } from '../support/platform.ts'
import { testServers } from '../support/servers.ts'
import { arithmeticActivities, type Harness, openHarness } from './harness.ts'
import { type OwnTemporal, ownTemporal } from './temporalServer.ts'

const { temporalCli } = testServers()

describe.skipIf(temporalCli === null)('a Temporal server of its own', () => {
  const { broker, platform, fill } = usePlatform('outage')
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'temporal-test-'))
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  const ownServer = (config?: Record<string, string>): Promise<OwnTemporal> =>
    ownTemporal(temporalCli ?? '', join(folder, `${randomUUID()}.db`), config)

  it('worker and operations wait for Temporal at the start, and go on when it comes back', {
    timeout: 180_000,
  }, async () => {
    const server = await ownServer()
    const taskQueue = `test-${randomUUID()}`
    const config = { address: server.address, namespace: 'default', taskQueue, apiKey: null, tls: null }
    const temporal = createTemporalClient(config)
    const operations = createReplayOperations({ ...platform.deps, temporal, taskQueue })
    const settings = { ...platform.deps.settings, pageEvents: 8, sliceMs: 1_000 }
    const worker = startReplayWorker({
      temporal: config,
      activities: { ...platform.deps, settings },
      maxConcurrentActivities: 8,
    })
    const topic = await broker.makeTopic(1)
    await fill({ topic, count: 20_000 })
    const replayId = randomUUID()
    const startReplay = () => operations.startReplay({ topic }, 'ada', replayId)
    await expect(startReplay()).rejects.toMatchObject({ code: 'TEMPORAL_UNAVAILABLE' })
    expect(worker.state()).toBe('waiting')

    await server.start()
    const started = await until(
      () => startReplay().catch(notYet),
      60_000,
      () => 'no start',
    )
    expect(started.status).toBe('planning')
    const produced = async () => {
      const target = await broker.directory.describe(`${topic}-replay`)
      return target === null ? 0n : (await broker.directory.bounds(`${topic}-replay`, 0)).end
    }
    await until(
      async () => (await produced()) > 1_000n,
      60_000,
      () => 'nothing produced',
    )
    await server.kill()
    // Long enough for the slice to end and find nobody to tell.
    await sleep(3_000)
    expect((await operations.getReplay(replayId)).status).toBe('running')
    await server.start()
    const done = await until(
      async () => {
        const view = await operations.getReplay(replayId)
        return view.status === 'completed' && view
      },
      120_000,
      () => 'not completed',
    )
    expect(done.receipt?.events).toBe('20000')
    const specs = Array.from({ length: 20_000 }, (_, index) => plainSpec(BigInt(index)))
    const found = await broker.readCommitted(`${topic}-replay`)
    expect(compare(found, specs, { replayId, topic, partition: 0 })).toEqual(perfect(20_000))
    await worker.stop()
    await temporal.close()
    await server.kill()
  })

  describe('that wants fresh histories early', () => {
    let server: OwnTemporal
    let harness: Harness
    beforeAll(async () => {
      server = await ownServer({ 'limit.historyCount.suggestContinueAsNew': '40' })
      await server.start()
      harness = await openHarness(server.address)
    })
    afterAll(async () => {
      await harness.close()
      await server.kill()
    })
    const start = (workflowId: string) =>
      harness.client.workflow.start('replay', {
        taskQueue: harness.taskQueue,
        workflowId,
        args: [{ topic: 'events', targetTopic: 'target' }],
      })

    it('a long log goes on in fresh histories, and its parent sees the whole', {
      timeout: 180_000,
    }, async () => {
      const { activities, calls } = arithmeticActivities({
        logs: 1,
        perLog: 60,
        slice: async (_, from) => from + 1n,
      })
      const workflowId = harness.play(activities)
      const handle = await start(workflowId)
      expect(await handle.result()).toMatchObject({ events: '60' })
      const child = await harness.client.workflow.getHandle(`${workflowId}/log-0`).describe()
      const first = await child.raw.workflowExecutionInfo?.firstRunId
      expect(first).not.toBe(child.runId)
      expect(child.historyLength).toBeLessThan(200)
      expect(calls.filter((call) => call === 'plan').length).toBeGreaterThanOrEqual(1)
    })

    it('many logs go on in fresh histories, finished logs remembered', { timeout: 180_000 }, async () => {
      const { activities, calls } = arithmeticActivities({
        logs: 30,
        perLog: 10,
        slice: async (log) => BigInt(log.to),
      })
      const handle = await start(harness.play(activities))
      expect(await handle.result()).toMatchObject({ events: '300' })
      expect(calls.filter((call) => call === 'plan').length).toBeGreaterThan(1)
      expect(calls.filter((call) => call === 'fence')).toHaveLength(1)
      expect(await handle.query('progress')).toMatchObject({
        status: 'completed',
        progress: { events: '300', scanned: '300', total: '300' },
      })
    })
  })
})

/** Until a call gets through. */
function notYet(error: unknown): null {
  if (error instanceof ServiceError && error.code === 'TEMPORAL_UNAVAILABLE') return null
  throw error
}
