/** Cursors deleted behind a replay's back, and the operator's decision to go on, on real servers. */
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { hasEnded, type ReplayView } from '../../src/domain/replayView.ts'
import { ServiceError } from '../../src/errors.ts'
import { createReplayOperations, type ReplayOperations } from '../../src/replay/operations.ts'
import { createTemporalClient, type TemporalClient } from '../../src/replay/temporalClient.ts'
import { plainSpec, usePlatform } from '../activities/fixture.ts'
import { compare, perfect } from '../activities/records.ts'
import { PlatformProcess, until } from '../support/platform.ts'
import { testServers } from '../support/servers.ts'

const { broker, platform, fill } = usePlatform('recovery')
const partitions = [0, 1, 2, 3]
const perPartition = 20_000
const taskQueue = `test-${randomUUID()}`

let temporal: TemporalClient
let operations: ReplayOperations
const workers: PlatformProcess[] = []

beforeAll(() => {
  const address = testServers().temporalAddress
  temporal = createTemporalClient({ address, namespace: 'default', taskQueue, apiKey: null, tls: null })
  operations = createReplayOperations({ ...platform.deps, temporal, taskQueue })
})
afterAll(async () => {
  await Promise.all(workers.map((worker) => worker.kill()))
  await temporal.close()
})

/** With the smallest pages a replay goes on for many seconds on any machine: there is a middle to interrupt. */
function startWorker(pageEvents = 256): PlatformProcess {
  const worker = new PlatformProcess('worker', {
    KAFKA_BROKERS: testServers().kafkaBrokers,
    KAFKA_TOPICS: 'not-a-target',
    DATABASE_URL: platform.database.appUrl,
    TEMPORAL_ADDRESS: testServers().temporalAddress,
    TEMPORAL_TASK_QUEUE: taskQueue,
    REPLAY_PAGE_EVENTS: String(pageEvents),
    REPLAY_SLICE_MS: '60000',
  })
  workers.push(worker)
  return worker
}

const ended = (replayId: string): Promise<ReplayView> =>
  until(
    async () => {
      const view = await operations.getReplay(replayId)
      return hasEnded(view.status) && view
    },
    120_000,
    () => workers.at(-1)?.output ?? '',
  )

const codeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'done',
    (error: unknown) => (error instanceof ServiceError ? error.code : String(error)),
  )

async function allBegun(target: string): Promise<boolean> {
  const ends = await Promise.all(partitions.map((partition) => broker.endOf(target, partition)))
  return ends.every((end) => end > 500n)
}

/** Deletes the cursors that there are, as a cleaner of empty groups would. */
async function deleteCursors(replayId: string): Promise<number> {
  const record = await platform.store.replays.getReplay(replayId)
  const wanted = new Set(record?.logs.map(({ logId }) => `replay-${record.plan.planId}-${logId}`))
  const admin = broker.kafka.admin()
  await admin.connect()
  const { groups } = await admin.listGroups()
  const present = groups.map(({ groupId }) => groupId).filter((groupId) => wanted.has(groupId))
  await admin.deleteGroups(present)
  await admin.disconnect()
  return present.length
}

it('a replay whose cursors were deleted goes on exactly when an operator says so', {
  timeout: 300_000,
}, async () => {
  const topic = await broker.makeTopic(partitions.length)
  for (const partition of partitions) await fill({ topic, partition, count: perPartition })
  const quick = startWorker()
  const undisturbed = await operations.startReplay({ topic, targetTopic: `${topic}-undisturbed` }, 'ada')
  const whole = await ended(undisturbed.replayId)
  expect(whole.status).toBe('completed')
  await quick.stop()

  const slow = startWorker(1)
  const replayId = randomUUID()
  const target = `${topic}-lost`
  const request = { topic, targetTopic: target }
  await operations.startReplay(request, 'ada', replayId)
  await until(
    async () => (await broker.directory.describe(target)) !== null && (await allBegun(target)),
    60_000,
    () => slow.output,
  )
  // Killed, so that the mirror is behind what was committed.
  await slow.kill()
  expect(await deleteCursors(replayId)).toBe(partitions.length)
  const second = startWorker()
  const failed = await ended(replayId)
  expect(failed).toMatchObject({ status: 'failed', error: { code: 'CURSOR_LOST' } })

  expect(await codeOf(operations.checkRecovery(replayId))).toBe('done')
  const before = await platform.store.replays.getReplay(replayId)
  const [one, two] = await Promise.all([
    codeOf(operations.recoverCursor(replayId, {}, 'ada')),
    codeOf(operations.recoverCursor(replayId, {}, 'bob')),
  ])
  expect([one, two].sort()).toEqual(['CURSOR_NOT_LOST', 'done'])
  // It goes on from here, or has come to its end already: what it failed with is over.
  expect((await operations.getReplay(replayId)).status).not.toBe('failed')
  const recovered = await ended(replayId)
  expect(recovered.status).toBe('completed')
  expect(recovered.error).toBeUndefined()
  expect(recovered.receipt).toEqual(whole.receipt)
  expect(second.output).toContain('"by":"read-back"')
  const specs = Array.from({ length: perPartition }, (_, index) => plainSpec(BigInt(index)))
  for (const partition of partitions) {
    const found = await broker.readCommitted(target, partition)
    expect(compare(found, specs, { replayId, topic, partition })).toEqual(perfect(perPartition))
  }

  expect(await codeOf(operations.recoverCursor(replayId, {}, 'ada'))).toBe('CURSOR_NOT_LOST')
  // Also to somebody who asked the store before the recovery began, and Temporal when it was over.
  const { replays } = platform.store
  const getReplay = vi.fn(replays.getReplay).mockResolvedValueOnce(before)
  const late = createReplayOperations({
    ...{ ...platform.deps, replays: { ...replays, getReplay } },
    ...{ temporal, taskQueue },
  })
  expect(await codeOf(late.recoverCursor(replayId, {}, 'bob'))).toBe('CURSOR_NOT_LOST')
  expect(getReplay).toHaveBeenCalledTimes(2)
  expect(await codeOf(operations.checkRecovery(undisturbed.replayId))).toBe('CURSOR_NOT_LOST')
  expect(await codeOf(operations.checkRecovery(randomUUID()))).toBe('REPLAY_NOT_FOUND')
  // The same start again is the same replay, as if nothing had happened.
  expect(await operations.startReplay(request, 'ada', replayId)).toEqual(recovered)
  await second.stop()
})

it('a recovery that finds nothing to go by says so, and can be tried again with doubles accepted', {
  timeout: 180_000,
}, async () => {
  const few = 12_000
  const topic = await broker.makeTopic(1)
  await fill({ topic, count: few })
  const slow = startWorker(1)
  const { replayId, targetTopic } = await operations.startReplay({ topic }, 'ada')
  await until(
    async () =>
      (await broker.directory.describe(targetTopic)) !== null && (await broker.endOf(targetTopic)) > 500n,
    60_000,
    () => slow.output,
  )
  await operations.pauseReplay(replayId)
  await slow.stop()
  const worker = startWorker()
  expect(await deleteCursors(replayId)).toBe(1)
  const admin = broker.kafka.admin()
  await admin.connect()
  await admin.fetchTopicOffsets(targetTopic)
  const end = String(await broker.endOf(targetTopic))
  await admin.deleteTopicRecords({ topic: targetTopic, partitions: [{ partition: 0, offset: end }] })
  await admin.disconnect()
  await operations.resumeReplay(replayId)
  expect(await ended(replayId)).toMatchObject({ status: 'failed', error: { code: 'CURSOR_LOST' } })
  await operations.recoverCursor(replayId, {}, 'ada')
  const refused = await ended(replayId)
  expect(refused).toMatchObject({ status: 'failed', error: { code: 'CURSOR_LOST' } })
  expect(refused.error?.detail).toContain('--accept-doubles')
  await operations.recoverCursor(replayId, { acceptDoubles: true }, 'ada')
  expect(await ended(replayId)).toMatchObject({
    status: 'completed',
    receipt: { events: String(few) },
  })
  await worker.stop()
})
