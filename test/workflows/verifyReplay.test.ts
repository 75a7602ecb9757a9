/** A replay through a real worker, then its target held against it, by operations, command and Temporal's own client. */
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { hasEnded } from '../../src/domain/replayView.ts'
import { type VerificationView, verificationEnded } from '../../src/domain/verification/view.ts'
import { createReplayOperations } from '../../src/replay/operations.ts'
import { createTemporalClient, type TemporalClient } from '../../src/replay/temporalClient.ts'
import { createVerificationOperations } from '../../src/replay/verificationOperations.ts'
import { usePlatform } from '../activities/fixture.ts'
import { startEdge } from '../api/edge.ts'
import { runCli } from '../cli/run.ts'
import { PlatformProcess, until } from '../support/platform.ts'
import { testServers } from '../support/servers.ts'

const { broker, platform, fill } = usePlatform('verifyreplays')
const taskQueue = `test-${randomUUID()}`
let temporal: TemporalClient
let worker: PlatformProcess

beforeAll(() => {
  const address = testServers().temporalAddress
  temporal = createTemporalClient({ address, namespace: 'default', taskQueue, apiKey: null, tls: null })
  worker = new PlatformProcess('worker', {
    KAFKA_BROKERS: testServers().kafkaBrokers,
    KAFKA_TOPICS: 'not-a-target',
    DATABASE_URL: platform.database.appUrl,
    TEMPORAL_ADDRESS: address,
    TEMPORAL_TASK_QUEUE: taskQueue,
  })
})
afterAll(async () => {
  await worker.kill()
  await temporal.close()
})

it('a completed replay is verified, log by log, and a stranger in its name is found', {
  timeout: 180_000,
}, async () => {
  const topic = await broker.makeTopic(3)
  for (const partition of [0, 1, 2]) await fill({ topic, partition, count: 3_000 })
  const { replays, verifications, queries, checkpoints } = platform.store
  const replaying = createReplayOperations({ ...platform.deps, temporal, taskQueue })
  const operations = createVerificationOperations({
    temporal,
    taskQueue,
    verifications,
    replays,
    logs: queries,
  })
  const { replayId, targetTopic } = await replaying.startReplay({ topic }, 'ada')
  const replay = await until(
    async () => {
      const view = await replaying.getReplay(replayId)
      return hasEnded(view.status) && view
    },
    60_000,
    () => worker.output,
  )
  expect(replay.status).toBe('completed')

  const started = await operations.verifyReplay(replayId, 'ada')
  const view = await until(
    async () => {
      const found = await operations.getVerification(started.id)
      return verificationEnded(found.status) && found
    },
    60_000,
    () => worker.output,
  )
  expect(view).toMatchObject({ kind: 'replay', status: 'intact', damaged: 0, request: { replayId } })
  expect(view.progress).toEqual({ parts: 3, partsDone: 3, checked: '9000', total: '9000' })
  expect(view.parts.map(({ partition, rootHash }) => ({ partition, events: '3000', rootHash }))).toEqual(
    replay.receipt?.logs,
  )

  const producer = broker.kafka.producer()
  await producer.connect()
  const headers = {
    'replay-id': replayId,
    'replay-source-topic': topic,
    'replay-source-partition': '1',
    'replay-source-offset': '7',
    'replay-event-hash': '0'.repeat(64),
  }
  await producer.send({ topic: targetTopic, messages: [{ partition: 1, value: 'forged', headers }] })
  await producer.disconnect()
  const edge = await startEdge({ operations, queries: { ...queries, ...checkpoints } })
  const ran = await runCli(['verify', replayId], { API_URL: edge.url })
  await edge.close()
  expect(ran.code).toBe(1)
  expect(ran.stdout).toContain('1 altered-bytes')
  expect(ran.stdout).toContain('1 doubled')
  expect(ran.stderr).toMatch(/verification .*: 1 damaged/)

  const byHand = (await temporal.client.workflow.execute('verifyReplay', {
    taskQueue,
    workflowId: `verify-replay/${randomUUID()}`,
    args: [{ replayId }],
  })) as VerificationView
  expect(byHand).toMatchObject({ status: 'damaged', damaged: 1, createdBy: 'temporal' })
  await expect(
    temporal.client.workflow.execute('verifyReplay', { taskQueue, workflowId: randomUUID(), args: [{}] }),
  ).rejects.toMatchObject({ cause: { type: 'BAD_REQUEST', message: expect.stringContaining('replayId') } })
})
