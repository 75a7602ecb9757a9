/** The operations of the edges, with a worker of ours, on real servers. */
import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { afterAll, beforeAll, beforeEach, expect, it, vi } from 'vitest'
import type { ActivityDependencies } from '../../activities/dependencies.ts'
import type { ReplayView } from '../../src/domain/replayView.ts'
import { ServiceError } from '../../src/errors.ts'
import { createReplayOperations, type ReplayOperations } from '../../src/replay/operations.ts'
import { createTemporalClient, type TemporalClient } from '../../src/replay/temporalClient.ts'
import { type ReplayWorker, startReplayWorker } from '../../src/replay/worker.ts'
import { usePlatform } from '../activities/fixture.ts'
import { until } from '../support/platform.ts'
import { testServers } from '../support/servers.ts'

vi.setConfig({ testTimeout: 120_000 })
const { broker, platform, fill } = usePlatform('operations')
const taskQueue = `test-${randomUUID()}`
let temporal: TemporalClient
let operations: ReplayOperations
let worker: ReplayWorker

const configOf = (address: string) => ({ address, namespace: 'default', taskQueue, apiKey: null, tls: null })

beforeAll(() => {
  temporal = createTemporalClient(configOf(testServers().temporalAddress))
  operations = createReplayOperations({ ...platform.deps, temporal, taskQueue })
  worker = start(paced())
})
beforeEach(() => {
  paceMs = 0
})
afterAll(async () => {
  await worker.stop()
  await temporal.close()
})

/** What a page takes at least. */
let paceMs = 0
/** A thousand pages of 16,000 events: at this pace there is a middle for most of a minute, on any machine. */
const SLOWLY = 50
const paced = (): ActivityDependencies => ({
  ...platform.deps,
  settings: { ...platform.deps.settings, pageEvents: 16 },
  log: {
    ...platform.deps.log,
    readPage: async (request) => {
      await sleep(paceMs)
      return await platform.deps.log.readPage(request)
    },
  },
})

const start = (activities: ActivityDependencies, queue = taskQueue): ReplayWorker =>
  startReplayWorker({
    temporal: { ...configOf(testServers().temporalAddress), taskQueue: queue },
    activities,
    maxConcurrentActivities: 8,
  })

async function topicOf(count: number, partitions = 1): Promise<string> {
  const topic = await broker.makeTopic(partitions)
  for (let partition = 0; partition < partitions; partition++) await fill({ topic, partition, count })
  return topic
}

async function reaches(replayId: string, status: ReplayView['status']): Promise<ReplayView> {
  return await until(
    async () => {
      const view = await operations.getReplay(replayId)
      return view.status === status && view
    },
    90_000,
    () => `${replayId} never became ${status}`,
  )
}

const codeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'done',
    (error: unknown) => (error instanceof ServiceError ? error.code : String(error)),
  )

it('replays, and shows the same from the workflow and from the store', async () => {
  const topic = await topicOf(100, 2)
  const started = await operations.startReplay({ topic }, 'ada')
  expect(started).toMatchObject({ status: 'planning', topic, targetTopic: `${topic}-replay` })
  expect(started.workflowId).toBe(`replay/${started.replayId}`)
  const done = await reaches(started.replayId, 'completed')
  expect(done).toMatchObject({
    progress: { events: '200', scanned: '200', total: '200' },
    receipt: { events: '200' },
  })
  const handle = temporal.client.workflow.getHandle(done.workflowId)
  await handle.result()
  expect(await handle.query('progress')).toEqual(done)
  expect((await operations.listReplays({ limit: 1 })).items[0]).toEqual(done)
  expect((await platform.store.replays.getReplay(done.replayId))?.createdBy).toBe('ada')
})

it('is the same replay for the same id and request, and refuses the id to another request', async () => {
  const topic = await topicOf(2_000)
  const replayId = randomUUID()
  const first = await operations.startReplay({ topic }, 'ada', replayId)
  const again = await operations.startReplay({ topic, targetTopic: `${topic}-replay` }, 'ada', replayId)
  expect(again.workflowId).toBe(first.workflowId)
  const other = { topic, partition: 0 }
  expect(await codeOf(operations.startReplay(other, 'ada', replayId))).toBe('REPLAY_ID_REUSED')
  const done = await reaches(replayId, 'completed')
  expect(await operations.startReplay({ topic }, 'ada', replayId)).toEqual(done)
  expect(await codeOf(operations.startReplay(other, 'ada', replayId))).toBe('REPLAY_ID_REUSED')

  // The same through Temporal itself: the receipt again, and nothing produced again.
  await temporal.client.workflow.getHandle(done.workflowId).result()
  const run = (request: unknown) =>
    temporal.client.workflow.execute('replay', { taskQueue, workflowId: done.workflowId, args: [request] })
  expect(await run({ topic })).toEqual(done.receipt)
  await expect(run(other)).rejects.toMatchObject({ cause: { type: 'REPLAY_ID_REUSED' } })
  expect(await broker.readCommitted(`${topic}-replay`)).toHaveLength(2_000)
  expect(await operations.getReplay(replayId)).toEqual(done)
})

it('pauses, resumes and cancels', async () => {
  paceMs = SLOWLY
  const topic = await topicOf(16_000)
  const { replayId } = await operations.startReplay({ topic }, 'ada')
  await until(
    async () => BigInt((await operations.getReplay(replayId)).progress.events) > 0n,
    90_000,
    () => 'no progress',
  )
  const paused = await operations.pauseReplay(replayId)
  expect(paused.status).toBe('paused')
  const { end } = await broker.directory.bounds(`${topic}-replay`, 0)
  expect(await operations.pauseReplay(replayId)).toEqual(paused)
  expect((await broker.directory.bounds(`${topic}-replay`, 0)).end).toBe(end)
  expect((await broker.readCommitted(`${topic}-replay`)).length).toBe(Number(paused.progress.events))

  expect((await operations.resumeReplay(replayId)).status).toBe('running')
  await until(
    async () => (await broker.directory.bounds(`${topic}-replay`, 0)).end > end,
    90_000,
    () => 'not resumed',
  )
  await operations.cancelReplay(replayId)
  const cancelled = await reaches(replayId, 'cancelled')
  expect(cancelled.error?.code).toBe('CANCELLED')
  expect((await broker.readCommitted(`${topic}-replay`)).length).toBe(Number(cancelled.progress.events))
  for (const control of [operations.pauseReplay, operations.resumeReplay, operations.cancelReplay])
    expect(await codeOf(control(replayId))).toBe('REPLAY_ENDED')
  const nobody = randomUUID()
  for (const control of [operations.pauseReplay, operations.cancelReplay, operations.getReplay])
    expect(await codeOf(control(nobody))).toBe('REPLAY_NOT_FOUND')
})

it('stands still while its activity is paused with Temporal’s own tools', async () => {
  paceMs = SLOWLY
  const topic = await topicOf(16_000)
  const { replayId, workflowId } = await operations.startReplay({ topic }, 'ada')
  await until(
    async () => BigInt((await operations.getReplay(replayId)).progress.events) > 0n,
    90_000,
    () => 'no progress',
  )
  const { workflowService } = temporal.client
  const activity = {
    namespace: 'default',
    execution: { workflowId: `${workflowId}/log-0` },
    type: 'replaySlice',
  }
  await workflowService.pauseActivity(activity)
  const pending = async () =>
    (await temporal.client.workflow.getHandle(`${workflowId}/log-0`).describe()).raw.pendingActivities?.[0]
  // PENDING_ACTIVITY_STATE_PAUSED
  await until(
    async () => (await pending())?.state === 4,
    90_000,
    () => 'not paused',
  )
  const { end } = await broker.directory.bounds(`${topic}-replay`, 0)
  await sleep(1_500)
  expect((await broker.directory.bounds(`${topic}-replay`, 0)).end).toBe(end)
  paceMs = 0
  await workflowService.unpauseActivity(activity)
  expect((await reaches(replayId, 'completed')).receipt?.events).toBe('16000')
})

it('goes on, exactly, when a terminated replay is started again', async () => {
  paceMs = SLOWLY
  const topic = await topicOf(16_000)
  const { replayId, workflowId } = await operations.startReplay({ topic }, 'ada')
  await until(
    async () => BigInt((await operations.getReplay(replayId)).progress.events) > 0n,
    90_000,
    () => 'no progress',
  )
  await temporal.client.workflow.getHandle(workflowId).terminate('test')
  const stopped = await operations.getReplay(replayId)
  expect(stopped).toMatchObject({ status: 'failed', error: { code: 'CANCELLED' } })
  paceMs = 0
  await operations.startReplay({ topic }, 'ada', replayId)
  expect((await reaches(replayId, 'completed')).receipt?.events).toBe('16000')
  const offsets = (await broker.readCommitted(`${topic}-replay`)).map(({ timestamp }) => timestamp)
  expect(offsets).toEqual([...new Set(offsets)].sort())
  expect(offsets).toHaveLength(16_000)
})

it('refuses before anything is started, and says the same when started all the same', async () => {
  const topic = await topicOf(10)
  const bad = { topic, partition: 0, toOffset: '11' }
  expect(await codeOf(operations.checkReplay(bad))).toBe('OFFSET_NOT_INGESTED')
  expect(await codeOf(operations.checkReplay({ topic }))).toBe('done')
  expect(await broker.directory.describe(`${topic}-replay`)).toBe(null)
  const { replayId } = await operations.startReplay(bad, 'ada')
  const failed = await reaches(replayId, 'failed')
  expect(failed).toMatchObject({ topic, logs: [], error: { code: 'OFFSET_NOT_INGESTED' } })
  expect(failed.error?.detail).toMatch(/^toOffset: /)
})

it('takes checkpoints', async () => {
  const topic = await topicOf(100, 2)
  const whole = await operations.createCheckpoint({ topic }, 'ada')
  expect(whole).toMatchObject({ topic, createdBy: 'ada' })
  expect(whole.positions.map(({ offset, size }) => `${offset} ${size}`)).toEqual(['100 100', '100 100'])
  expect((await platform.store.checkpoints.getCheckpoint(whole.id))?.positions).toHaveLength(2)
  const one = await operations.createCheckpoint({ topic, partition: 1, offset: '5' }, 'ada')
  expect(one).toMatchObject({ partition: 1, offset: '5', positions: [{ partition: 1, size: '5' }] })
  for (const refused of [operations.checkCheckpoint, operations.createCheckpoint]) {
    const asked = refused({ topic, partition: 1, offset: '101' }, 'ada')
    await expect(asked).rejects.toMatchObject({
      code: 'OFFSET_NOT_INGESTED',
      fields: [{ path: 'offset', message: expect.any(String) }],
    })
  }
})

it('takes a checkpoint for whoever starts the workflow, under the id that the workflow names', async () => {
  const topic = await topicOf(10)
  const run = (workflowId: string, ...args: unknown[]) =>
    temporal.client.workflow.execute('createCheckpoint', { taskQueue, workflowId, args })
  const id = randomUUID()
  const named = await run(`checkpoint/${id.toUpperCase()}`, { topic })
  expect(named).toMatchObject({ id, createdBy: 'temporal' })
  expect(await run(`checkpoint/${id}`, { topic })).toEqual(named)
  expect(await run(randomUUID(), { topic })).toMatchObject({ id: expect.stringMatching(/^[0-9a-f-]{36}$/) })
  for (const input of [{}, { topic, offset: '5' }, { topic, partition: 0, offset: '-5' }, { topic, x: 1 }, 7])
    await expect(run(randomUUID(), input)).rejects.toMatchObject({
      cause: { type: 'BAD_REQUEST', stack: '' },
    })
})

it.skipIf(testServers().temporalCli === null)(
  'is started, queried and cancelled with the temporal CLI',
  async () => {
    const { temporalCli, temporalAddress } = testServers()
    const cli = async (...args: string[]) =>
      (await promisify(execFile)(temporalCli ?? '', [...args, '--address', temporalAddress])).stdout
    const topic = await topicOf(100)
    const workflowId = `replay/${randomUUID()}`
    const input = JSON.stringify({ topic, targetTopic: `${topic}-cli` })
    await cli(
      ...['workflow', 'start', '--type', 'replay', '--task-queue', taskQueue],
      ...['--workflow-id', workflowId, '--input', input],
    )
    const done = await reaches(workflowId.slice('replay/'.length), 'completed')
    expect(done.receipt?.events).toBe('100')
    const answer = await cli(
      'workflow',
      'query',
      '--workflow-id',
      workflowId,
      '--type',
      'progress',
      '-o',
      'json',
    )
    expect(answer).toContain('"status": "completed"')
  },
)

it('says that Temporal is away, in bounded time, and starts nothing', async () => {
  const topic = await topicOf(10)
  const away = createTemporalClient(configOf('127.0.0.1:1'))
  const lost = createReplayOperations({ ...platform.deps, temporal: away, taskQueue })
  const replayId = randomUUID()
  const askedAt = performance.now()
  expect(await codeOf(lost.startReplay({ topic }, 'ada', replayId))).toBe('TEMPORAL_UNAVAILABLE')
  expect(performance.now() - askedAt).toBeLessThan(10_000)
  expect(await codeOf(lost.createCheckpoint({ topic }, 'ada'))).toBe('TEMPORAL_UNAVAILABLE')
  expect(await codeOf(lost.cancelReplay(replayId))).toBe('TEMPORAL_UNAVAILABLE')
  expect(await platform.store.replays.getReplay(replayId)).toBe(null)
  await away.close()
})

it('shows what the store knows when no worker answers', async () => {
  const topic = await topicOf(10)
  const queue = `test-${randomUUID()}`
  const alone = createReplayOperations({ ...platform.deps, temporal, taskQueue: queue })
  const { replayId } = await alone.startReplay({ topic }, 'ada')
  expect(await alone.getReplay(replayId)).toMatchObject({ status: 'planning', topic, logs: [] })
  await alone.cancelReplay(replayId)
  const late = start(platform.deps, queue)
  expect(await reaches(replayId, 'cancelled')).toMatchObject({ topic, error: { code: 'CANCELLED' } })
  await late.stop()
})

it('a worker that is asked to stop hands its slices back at once', async () => {
  paceMs = SLOWLY
  const topic = await topicOf(16_000)
  const queue = `test-${randomUUID()}`
  const own = createReplayOperations({ ...platform.deps, temporal, taskQueue: queue })
  const slow = { ...paced(), settings: { ...paced().settings, sliceMs: 120_000 } }
  const leaving = start(slow, queue)
  const { replayId } = await own.startReplay({ topic }, 'ada')
  await until(
    async () => BigInt((await own.getReplay(replayId)).progress.events) > 0n,
    90_000,
    () => 'no progress',
  )
  const askedAt = performance.now()
  await leaving.stop()
  // The slice itself would go on for two minutes; every process stops within ten seconds.
  expect(performance.now() - askedAt).toBeLessThan(10_000)
  expect(leaving.state()).toBe('stopped')
  const taking = start(platform.deps, queue)
  expect((await reaches(replayId, 'completed')).receipt?.events).toBe('16000')
  expect(await broker.readCommitted(`${topic}-replay`)).toHaveLength(16_000)
  await taking.stop()
})
