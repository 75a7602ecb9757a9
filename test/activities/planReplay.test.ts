import { randomUUID } from 'node:crypto'
import { expect, it } from 'vitest'
import { finishReplay, recordStatus } from '../../activities/finishReplay.ts'
import { planReplay } from '../../activities/planReplay.ts'
import { storeCheckpoint } from '../../activities/storeCheckpoint.ts'
import { hashFromHex, sha256 } from '../../src/domain/hash.ts'
import { offset } from '../../src/domain/model.ts'
import type { ReplayRequest } from '../../src/domain/replay.ts'
import { ServiceError } from '../../src/errors.ts'
import { type FillOptions, plainSpec, scopeOf, usePlatform } from './fixture.ts'
import { rootOfSpecs } from './records.ts'

const { broker, platform, fill } = usePlatform('plan')

const plan = (request: ReplayRequest, replayId = randomUUID(), settings = {}) =>
  planReplay({ ...platform.deps, settings: { ...platform.deps.settings, ...settings } }, scopeOf(), {
    replayId,
    request,
    requestedBy: 'test',
  })

/** A topic of two logs: partition 0 with the offsets 0…999, partition 1 with 100…299. */
async function twoLogs(options: Partial<FillOptions> = {}): Promise<string> {
  const topic = await broker.makeTopic(2)
  await fill({ topic, partition: 0, count: 1_000, ...options })
  await fill({ topic, partition: 1, from: 100n, count: 200, ...options })
  return topic
}

const ranges = async (request: ReplayRequest) =>
  (await plan(request)).logs.map(({ partition, from, to, planned }) =>
    [partition, from, to, planned].join(' '),
  )

async function refusal(planned: Promise<unknown>): Promise<{ code: string; field: string | undefined }> {
  const error: unknown = await planned.then(
    () => new Error('it was not refused'),
    (reason: unknown) => reason,
  )
  if (!(error instanceof ServiceError)) throw error
  return { code: error.code, field: error.fields[0]?.path }
}

const checkpointOf = (topic: string, partition?: number, at?: string) =>
  storeCheckpoint(platform.deps, {
    checkpointId: randomUUID(),
    request: {
      topic,
      ...(partition !== undefined && { partition }),
      ...(at !== undefined && { offset: at }),
    },
    requestedBy: 'test',
  })

it('freezes what is in the logs now, clamped to each', async () => {
  const topic = await twoLogs()
  expect(await ranges({ topic })).toEqual(['0 0 1000 1000', '1 100 300 200'])
  expect(await ranges({ topic, fromOffset: '150' })).toEqual(['0 150 1000 850', '1 150 300 150'])
  expect(await ranges({ topic, fromOffset: '50', toOffset: '500' })).toEqual([
    '0 50 500 450',
    '1 100 300 200',
  ])
  expect(await ranges({ topic, fromOffset: '400' })).toEqual(['0 400 1000 600', '1 300 300 0'])
  expect(await ranges({ topic, partition: 1 })).toEqual(['1 100 300 200'])
  expect(await ranges({ topic, partition: 1, toOffset: '300' })).toEqual(['1 100 300 200'])
  expect(await ranges({ topic, filters: { sources: ['nobody'] } })).toEqual(['0 0 1000 0', '1 100 300 0'])
})

it('begins where a checkpoint ends', async () => {
  const topic = await twoLogs()
  const whole = await checkpointOf(topic)
  const one = await checkpointOf(topic, 0, '500')
  await fill({ topic, partition: 0, count: 50 })
  expect(await ranges({ topic, checkpointId: whole.id })).toEqual(['0 1000 1050 50', '1 300 300 0'])
  expect(await ranges({ topic, checkpointId: whole.id, partition: 0 })).toEqual(['0 1000 1050 50'])
  expect(await ranges({ topic, checkpointId: one.id })).toEqual(['0 500 1050 550'])
})

it('takes a checkpoint at the head or at any offset, with the root of what lies below', async () => {
  const topic = await twoLogs()
  const specs = Array.from({ length: 1_000 }, (_, index) => plainSpec(BigInt(index)))
  expect(await checkpointOf(topic)).toMatchObject({
    topic,
    createdBy: 'test',
    positions: [
      { partition: 0, offset: '1000', size: '1000', rootHash: rootOfSpecs(specs) },
      { partition: 1, offset: '300', size: '200' },
    ],
  })
  expect((await checkpointOf(topic, 0, '777')).positions).toEqual([
    { partition: 0, offset: '777', size: '777', rootHash: rootOfSpecs(specs.slice(0, 777)), signedBy: [] },
  ])
  expect((await checkpointOf(topic, 1, '100')).positions).toMatchObject([{ offset: '100', size: '0' }])
  expect(await refusal(checkpointOf(topic, 0, '1001'))).toEqual({
    code: 'OFFSET_NOT_INGESTED',
    field: 'offset',
  })
  expect(await refusal(checkpointOf(topic, 1, '99'))).toEqual({ code: 'OFFSET_BEFORE_LOG', field: 'offset' })
  expect(await refusal(checkpointOf(topic, 2))).toEqual({ code: 'UNKNOWN_PARTITION', field: 'partition' })
  expect(await refusal(checkpointOf(randomUUID()))).toEqual({ code: 'UNKNOWN_TOPIC', field: 'topic' })
})

it('stores a checkpoint once, whatever is tried again', async () => {
  const topic = await twoLogs()
  const checkpointId = randomUUID()
  const take = (partition: number) =>
    storeCheckpoint(platform.deps, { checkpointId, request: { topic, partition }, requestedBy: 'test' })
  const first = await take(0)
  await fill({ topic, partition: 0, count: 10 })
  expect(await take(0)).toEqual(first)
  expect(await refusal(take(1))).toMatchObject({ code: 'BAD_REQUEST' })
})

it('is the same plan for the same id and request, whatever happened since', async () => {
  const topic = await twoLogs()
  const replayId = randomUUID()
  const first = await plan({ topic, filters: { sources: ['test', 'a'] } }, replayId)
  await fill({ topic, partition: 0, count: 10 })
  const request = { topic, targetTopic: `${topic}-replay`, filters: { sources: ['a', 'test', 'a'] } }
  expect(await plan(request, replayId)).toEqual(first)
  expect(await refusal(plan({ topic }, replayId))).toMatchObject({ code: 'REPLAY_ID_REUSED' })
  const both = randomUUID()
  const [left, right] = await Promise.all([plan({ topic }, both), plan({ topic }, both)])
  expect(left).toEqual(right)
})

it('says how a replay of the same id ended, and an end stays', async () => {
  const topic = await twoLogs()
  const replayId = randomUUID()
  const { planId } = await plan({ topic }, replayId)
  await recordStatus(platform.deps, { planId, status: 'paused' })
  expect((await platform.store.replays.getReplay(replayId))?.status).toBe('paused')
  const receipt = { events: '1', logs: [{ partition: 0, events: '1', rootHash: 'ab'.repeat(32) }] }
  await finishReplay(platform.deps, { replayId, request: { topic: 'another' }, status: 'failed' })
  expect((await plan({ topic }, replayId)).ended).toBe(null)
  await finishReplay(platform.deps, { replayId, request: { topic }, status: 'completed', receipt })
  await recordStatus(platform.deps, { planId, status: 'running' })
  await finishReplay(platform.deps, { replayId, request: { topic }, status: 'cancelled' })
  expect((await plan({ topic }, replayId)).ended).toEqual({ status: 'completed', receipt })
})

it('refuses what names nothing, each with its field', async () => {
  const topic = await twoLogs()
  const foreign = await checkpointOf(await twoLogs())
  const ofPartition1 = await checkpointOf(topic, 1)
  const cases: [ReplayRequest, string, string][] = [
    [{ topic: randomUUID() }, 'UNKNOWN_TOPIC', 'topic'],
    [{ topic, partition: 2 }, 'UNKNOWN_PARTITION', 'partition'],
    [{ topic, partition: 0, toOffset: '1001' }, 'OFFSET_NOT_INGESTED', 'toOffset'],
    [{ topic, partition: 0, fromOffset: '1001' }, 'OFFSET_NOT_INGESTED', 'fromOffset'],
    [{ topic, partition: 0, fromOffset: '1000' }, 'RANGE_EMPTY', 'fromOffset'],
    [{ topic, partition: 1, toOffset: '100' }, 'RANGE_EMPTY', 'toOffset'],
    [{ topic, fromOffset: '1000' }, 'RANGE_EMPTY', 'fromOffset'],
    [{ topic, checkpointId: randomUUID() }, 'CHECKPOINT_NOT_FOUND', 'checkpointId'],
    [{ topic, checkpointId: foreign.id }, 'CHECKPOINT_FOREIGN', 'checkpointId'],
    [{ topic, checkpointId: ofPartition1.id, partition: 0 }, 'CHECKPOINT_FOREIGN', 'partition'],
    [{ topic, targetTopic: topic }, 'TARGET_IS_SOURCE', 'targetTopic'],
    [{ topic, targetTopic: foreign.topic }, 'TARGET_INGESTED', 'targetTopic'],
  ]
  for (const [request, code, field] of cases) expect(await refusal(plan(request))).toEqual({ code, field })
  expect(await broker.directory.describe(`${topic}-replay`)).toBe(null)
})

it('refuses a checkpoint that the log no longer matches', async () => {
  const topic = await twoLogs()
  const [log] = await platform.store.reader.logsOf(topic)
  if (log === undefined) throw new Error('no log')
  const right = hashFromHex((await checkpointOf(topic, 0, '500')).positions[0]?.rootHash ?? '')
  const stored = async (size: bigint, rootHash: typeof right) => {
    const id = randomUUID()
    const positions = [{ logId: log.logId, partition: 0, offset: offset(500n), size, rootHash }]
    await platform.store.checkpoints.insertCheckpoint({
      id,
      topic,
      partition: 0,
      offset: offset(500n),
      createdBy: 'test',
      positions: positions as never,
    })
    return { topic, checkpointId: id }
  }
  const mismatch = { code: 'CHECKPOINT_MISMATCH', field: 'checkpointId' }
  expect(await refusal(plan(await stored(500n, sha256('another root'))))).toEqual(mismatch)
  expect(await refusal(plan(await stored(499n, right)))).toEqual(mismatch)
  expect((await plan(await stored(500n, right))).logs).toHaveLength(1)
})

it('refuses a checkpoint of an older incarnation, and plans over the newest log only', async () => {
  const topic = await twoLogs()
  const checkpoint = await checkpointOf(topic)
  const { writer } = platform.store
  const closed = await writer.findLog(topic, 0)
  if (closed === null) throw new Error('no log')
  const { topicId } = closed.identity
  await writer.openIncarnation(closed, { topicId, startOffset: offset(7n) }, async () => topicId)
  await fill({ topic, partition: 0, count: 20 })
  const refused = plan({ topic, checkpointId: checkpoint.id })
  await expect(refused).rejects.toMatchObject({
    code: 'CHECKPOINT_FOREIGN',
    message: expect.stringContaining(
      'partition 0: it is of incarnation 1, the log that goes on is incarnation 2',
    ),
  })
  expect(
    (await plan({ topic, checkpointId: checkpoint.id, partition: 1 })).logs.map(({ partition }) => partition),
  ).toEqual([1])
  const [first] = (await plan({ topic, partition: 0 }, randomUUID())).logs
  expect(first).toMatchObject({ from: '7', to: '27', planned: '20' })
  expect((await checkpointOf(topic, 0)).positions).toMatchObject([{ partition: 0, offset: '27', size: '20' }])
})

it('creates a missing target that keeps everything, or refuses', async () => {
  const topic = await twoLogs({
    specOf: (at) => ({ ...plainSpec(at), value: Buffer.alloc(at === 150n ? 1_048_500 : 10, 'x') }),
  })
  expect(await refusal(plan({ topic }, randomUUID(), { createTargets: false }))).toEqual({
    code: 'TARGET_MISSING',
    field: 'targetTopic',
  })
  await plan({ topic })
  const target = await broker.directory.describe(`${topic}-replay`)
  expect(target?.partitions).toHaveLength(2)
  const config = await broker.directory.config(`${topic}-replay`)
  expect(config).toMatchObject({
    cleanupPolicy: 'delete',
    retentionMs: -1n,
    timestampType: 'CreateTime',
    timestampAfterMaxMs: 2n ** 63n - 1n,
  })
  // The added headers make the largest event larger than the source would take.
  expect(config.maxMessageBytes).toBeGreaterThan(1_048_588)
})

it('refuses targets that cannot take the events unchanged', async () => {
  const topic = await twoLogs()
  const cases: [number, Record<string, string>, string][] = [
    [1, {}, 'TARGET_TOO_FEW_PARTITIONS'],
    [2, { 'message.timestamp.type': 'LogAppendTime' }, 'TARGET_LOG_APPEND_TIME'],
    [2, { 'cleanup.policy': 'compact' }, 'TARGET_COMPACTED'],
    [2, { 'cleanup.policy': 'compact,delete' }, 'TARGET_COMPACTED'],
    [2, { 'max.message.bytes': '600' }, 'TARGET_MESSAGE_SIZE'],
    [2, { 'retention.ms': '86400000' }, 'TARGET_RETENTION'],
    [2, { 'message.timestamp.before.max.ms': '86400000', 'retention.ms': '-1' }, 'TARGET_RETENTION'],
  ]
  for (const [partitions, config, code] of cases) {
    const targetTopic = await broker.makeTopic(partitions, config)
    expect(await refusal(plan({ topic, targetTopic }))).toEqual({ code, field: 'targetTopic' })
  }
  const good = await broker.makeTopic(3, { 'retention.ms': '-1' })
  expect((await plan({ topic, targetTopic: good })).targetTopic).toBe(good)
})

it('plans for a topic that Kafka no longer has', async () => {
  const topic = `gone-${randomUUID()}`
  await fill({ topic, partition: 2, count: 10 })
  await plan({ topic })
  expect((await broker.directory.describe(`${topic}-replay`))?.partitions).toHaveLength(3)
  await broker.deleteTopic(`${topic}-replay`)
})
