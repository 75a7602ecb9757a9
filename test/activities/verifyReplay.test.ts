/** Targets that are damaged by a plain producer, and what verification calls it. */
import { randomUUID } from 'node:crypto'
import kafkajs from 'kafkajs'
import { beforeAll, describe, expect, it } from 'vitest'
import { fenceReplay } from '../../activities/fenceReplay.ts'
import { finishReplay } from '../../activities/finishReplay.ts'
import { planReplay } from '../../activities/planReplay.ts'
import { replaySlice } from '../../activities/replaySlice.ts'
import { planReplayVerification, verifyReplaySlice } from '../../activities/verification/verifyReplaySlice.ts'
import { readHeaders } from '../../src/domain/headers.ts'
import type { TargetProgressJson } from '../../src/domain/verification/targetProgress.ts'
import type { VerifiedPart } from '../../src/domain/verification/view.ts'
import type { EventPageRequest } from '../../src/ports.ts'
import { fill, scopeOf, usePlatform } from './fixture.ts'
import type { Found } from './records.ts'

const { broker, platform } = usePlatform('verifyreplay')
const count = 400

interface Replayed {
  readonly replayId: string
  readonly topic: string
  readonly targetTopic: string
  readonly produced: readonly Found[]
}

/** A replay that is over, and what it produced. */
async function replayed(options: { upTo?: number; filters?: object } = {}): Promise<Replayed> {
  const topic = await broker.makeTopic()
  await fill(platform.store, { topic, count, typeOf: (at) => (at % 3n === 0n ? 'third' : 'other') })
  const replayId = randomUUID()
  const request = { topic, ...(options.filters !== undefined && { filters: options.filters }) }
  const plan = await planReplay(platform.deps, scopeOf(), { replayId, request, requestedBy: 'ada' })
  const [log] = plan.logs
  if (log === undefined) throw new Error('no log')
  const work = { planId: plan.planId, logId: log.logId }
  const cancelled = options.upTo !== undefined
  const cancel = new AbortController()
  const deps = {
    ...platform.deps,
    settings: { ...platform.deps.settings, ...(cancelled && { pageEvents: options.upTo }) },
    log: {
      ...platform.deps.log,
      readPage: async (page: EventPageRequest) => {
        const read = await platform.deps.log.readPage(page)
        if (cancelled) cancel.abort()
        return read
      },
    },
  }
  await replaySlice(deps, scopeOf(cancel.signal), work)
  const fenced = await fenceReplay(platform.deps, scopeOf(), { planId: plan.planId })
  const logs = fenced.logs.map(({ partition, events, rootHash }) => ({ partition, events, rootHash }))
  const events = logs[0]?.events ?? '0'
  await finishReplay(platform.deps, {
    replayId,
    request,
    status: cancelled ? 'cancelled' : 'completed',
    ...(!cancelled && { receipt: { events, logs } }),
  })
  const produced = await broker.readCommitted(plan.targetTopic)
  return { replayId, topic, targetTopic: plan.targetTopic, produced }
}

async function verify(replayId: string): Promise<VerifiedPart> {
  const verificationId = randomUUID()
  const workflowId = `verify-replay/${verificationId}`
  const plan = await planReplayVerification(platform.deps, {
    verificationId,
    workflowId,
    replayId,
    requestedBy: 'ada',
  })
  for (const { logId } of plan.logs) {
    let progress: TargetProgressJson | null = null
    // Each slice ends after one fetch: what it returns must be enough to go on.
    const deps = { ...platform.deps, settings: { ...platform.deps.settings, sliceMs: 0 } }
    for (let slice = 0; progress === null || !progress.done; slice++) {
      if (slice > 1_000) throw new Error('it does not end')
      progress = JSON.parse(
        JSON.stringify(
          await verifyReplaySlice(deps, scopeOf(), { verificationId, replayId, logId, progress }),
        ),
      )
    }
  }
  const record = await platform.store.verifications.getVerification(verificationId)
  const part = record?.verified[0]
  if (part === undefined) throw new Error('nothing was written down')
  return part
}

interface Message {
  readonly partition: number
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly timestamp: string
  readonly headers: Record<string, Buffer>
}

const messageOf = ({ key, value, timestamp, headers }: Found): Message => ({
  partition: 0,
  key: key ?? null,
  value: value ?? null,
  timestamp: String(timestamp),
  headers: Object.fromEntries(
    readHeaders(headers ?? Buffer.of(0)).map((each) => [each.key, each.value ?? Buffer.alloc(0)]),
  ),
})

let producer: ReturnType<typeof broker.kafka.producer>
beforeAll(async () => {
  producer = broker.kafka.producer({ createPartitioner: kafkajs.Partitioners.DefaultPartitioner })
  await producer.connect()
  return () => producer.disconnect()
})

const send = (topic: string, messages: readonly Message[]) =>
  producer.send({
    topic,
    messages: messages.map((message) => ({ ...message, headers: { ...message.headers } })),
  })

/** The target made again from scratch, with what `change` makes of the records: the same topic id cannot be had, so the plan is moved. */
async function rebuilt(
  original: Replayed,
  change: (messages: Message[]) => readonly Message[],
): Promise<VerifiedPart> {
  const { targetTopic, replayId, produced } = original
  const admin = broker.kafka.admin()
  await admin.connect()
  const end = String(await broker.endOf(targetTopic))
  await admin.fetchTopicOffsets(targetTopic)
  await admin.deleteTopicRecords({ topic: targetTopic, partitions: [{ partition: 0, offset: end }] })
  await admin.disconnect()
  await send(targetTopic, change(produced.map(messageOf)))
  return await verify(replayId)
}

describe('a target that nobody touched', () => {
  it('is what was planned', async () => {
    const { replayId } = await replayed()
    const part = await verify(replayId)
    const record = await platform.store.replays.getReplay(replayId)
    expect(part).toMatchObject({
      verdict: 'intact',
      checked: String(count),
      found: {},
      counts: { planned: String(count), matched: String(count), foreign: '0' },
    })
    expect(part.rootHash).toBe(
      Buffer.from(record?.receipt?.logs[0]?.rootHash ?? '', 'latin1').toString('hex'),
    )
  })

  it('holds the committed prefix of a cancelled replay, and with filters what they let pass', async () => {
    const prefix = await replayed({ upTo: 64 })
    expect(prefix.produced.length).toBeGreaterThan(0)
    expect(prefix.produced.length).toBeLessThan(count)
    expect(await verify(prefix.replayId)).toMatchObject({
      verdict: 'intact',
      counts: { planned: String(count), matched: String(prefix.produced.length) },
    })
    const filtered = await replayed({ filters: { eventTypes: ['third'] } })
    expect(await verify(filtered.replayId)).toMatchObject({ verdict: 'intact', counts: { matched: '134' } })
  })

  it('may hold records of others, which are counted', async () => {
    const { replayId, targetTopic } = await replayed()
    const stranger = {
      partition: 0,
      key: null,
      value: Buffer.from('x'),
      timestamp: '1760000000000',
      headers: {},
    }
    const other = { ...stranger, headers: { 'replay-id': Buffer.from('another') } }
    await send(targetTopic, [stranger, other])
    const part = await verify(replayId)
    expect(part).toMatchObject({ verdict: 'intact', counts: { foreign: '2' } })
    expect(Number(part.counts['firstForeignOffset'])).toBeGreaterThanOrEqual(count)
  })
})

describe('damage to a target is found and named', () => {
  const cases: readonly {
    name: string
    change: (messages: Message[]) => readonly Message[]
    found: Record<string, string>
    first: Record<string, unknown>
  }[] = [
    {
      name: 'a missing record',
      change: (all) => all.toSpliced(100, 1),
      found: { missing: '1' },
      first: { kind: 'missing', offset: '100' },
    },
    {
      name: 'the last records missing',
      change: (all) => all.slice(0, 350),
      found: { missing: '50' },
      first: { kind: 'missing', offset: '350' },
    },
    {
      name: 'a record that came twice',
      change: (all) => all.toSpliced(200, 0, all[7] as Message),
      found: { doubled: '1' },
      first: { kind: 'doubled', offset: '7' },
    },
    {
      name: 'all records twice',
      change: (all) => [...all, ...all],
      found: { doubled: String(count) },
      first: { kind: 'doubled', offset: '0' },
    },
    {
      name: 'another value',
      change: (all) => all.with(50, { ...(all[50] as Message), value: Buffer.from('{}') }),
      found: { 'altered-bytes': '1' },
      first: { kind: 'altered-bytes', offset: '50', column: 'value' },
    },
    {
      name: 'another key, and another timestamp',
      change: (all) =>
        all
          .with(50, { ...(all[50] as Message), key: Buffer.from('x') })
          .with(60, { ...(all[60] as Message), timestamp: '1760000000001' }),
      found: { 'altered-bytes': '2' },
      first: { kind: 'altered-bytes', offset: '50', column: 'key' },
    },
    {
      name: 'a header more',
      change: (all) =>
        all.with(50, {
          ...(all[50] as Message),
          headers: { ...all[50]?.headers, more: Buffer.from('x') },
        }),
      found: { 'altered-bytes': '1' },
      first: { kind: 'altered-bytes', offset: '50', column: 'headers' },
    },
    {
      name: "two records in each other's place",
      change: (all) => all.with(10, all[11] as Message).with(11, all[10] as Message),
      found: { reordered: '1' },
      first: { kind: 'reordered', offset: '10' },
    },
    {
      name: 'a record in the name of the replay that was never planned',
      change: (all) =>
        all.toSpliced(30, 0, {
          ...(all[30] as Message),
          headers: { ...all[30]?.headers, 'replay-source-offset': Buffer.from('99999') },
        }),
      found: { inserted: '1' },
      first: { kind: 'inserted', offset: '99999' },
    },
    {
      name: 'a record that has lost its headers',
      change: (all) => all.with(30, { ...(all[30] as Message), headers: {} }),
      found: { missing: '1' },
      first: { kind: 'missing', offset: '30' },
    },
  ]
  it.each(cases)('$name', async ({ change, found, first }) => {
    const part = await rebuilt(await replayed(), change)
    expect(part.verdict).toBe('damaged')
    expect(part.found).toEqual(found)
    expect(part.first).toMatchObject(first)
  })

  it('the same records, and still nothing wrong', async () => {
    expect(await rebuilt(await replayed(), (all) => all)).toMatchObject({ verdict: 'intact', found: {} })
  })
})

it('a replay that runs, and one that nobody knows, cannot be verified', async () => {
  const topic = await broker.makeTopic()
  await fill(platform.store, { topic, count: 1 })
  const replayId = randomUUID()
  await planReplay(platform.deps, scopeOf(), { replayId, request: { topic }, requestedBy: 'ada' })
  const ask = (id: string) =>
    planReplayVerification(platform.deps, {
      verificationId: randomUUID(),
      workflowId: 'x',
      replayId: id,
      requestedBy: '',
    })
  await expect(ask(replayId)).rejects.toMatchObject({ code: 'REPLAY_RUNNING' })
  await expect(ask('nobody')).rejects.toMatchObject({ code: 'REPLAY_NOT_FOUND' })
})
