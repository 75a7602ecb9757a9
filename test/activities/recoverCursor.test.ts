import { randomUUID } from 'node:crypto'
import { expect, it } from 'vitest'
import type { LogInput } from '../../activities/contract.ts'
import type { ActivityDependencies } from '../../activities/dependencies.ts'
import { fenceReplay } from '../../activities/fenceReplay.ts'
import { finishReplay } from '../../activities/finishReplay.ts'
import { takeLane } from '../../activities/lane.ts'
import { planReplay } from '../../activities/planReplay.ts'
import { recoverCursor } from '../../activities/recoverCursor.ts'
import { replaySlice } from '../../activities/replaySlice.ts'
import { logId, offset } from '../../src/domain/model.ts'
import type { ReplayRequest } from '../../src/domain/replay.ts'
import { record, sourceRecords } from '../kafka/records.ts'
import type { RecordSpec } from '../store/entries.ts'
import { type FillOptions, plainSpec, scopeOf, usePlatform } from './fixture.ts'
import { compare, perfect, rootOfSpecs } from './records.ts'

const { broker, platform, fill } = usePlatform('recover')
const count = 5_000
const never = new AbortController().signal

const specs = (size: number, from = 0): RecordSpec[] =>
  Array.from({ length: size }, (_, index) => plainSpec(BigInt(from + index)))

interface Planned extends LogInput {
  readonly replayId: string
  readonly request: ReplayRequest
  readonly topic: string
  readonly target: string
}

async function plan(options: Partial<FillOptions> = {}, more: Partial<ReplayRequest> = {}): Promise<Planned> {
  const topic = await broker.makeTopic(1)
  await fill({ topic, count, ...options })
  const replayId = randomUUID()
  const target = `${topic}-replay`
  const request = { topic, targetTopic: target, ...more }
  const planned = await planReplay(platform.deps, scopeOf(), { replayId, request, requestedBy: 'test' })
  return { planId: planned.planId, logId: planned.logs[0]?.logId ?? 0, replayId, request, topic, target }
}

const groupOf = ({ planId, logId: id }: LogInput): string => `replay-${planId}-${id}`

/** Small pages, one transaction each. */
const slow = () => ({
  settings: { ...platform.deps.settings, pageEvents: 256, sliceMs: 3_600_000 },
  now: everyHalfSecond(),
})

function everyHalfSecond(): () => number {
  let nowMs = 0
  return () => {
    nowMs += 500
    return nowMs
  }
}

const run = (input: LogInput, deps: Partial<ActivityDependencies> = {}, signal?: AbortSignal) =>
  replaySlice({ ...platform.deps, ...deps }, scopeOf(signal), input)

/** Commits some transactions, and mirrors none of them, as a worker that is killed within a second of the last one. */
async function produceUnmirrored(
  input: LogInput,
  transactions: number,
  store: ActivityDependencies['replays'] = platform.store.replays,
): Promise<string> {
  const stop = new AbortController()
  let committed = 0
  const observer = {
    ...platform.deps.observer,
    pageCommitted: () => {
      committed += 1
      if (committed === transactions) stop.abort()
    },
  }
  const replays = { ...store, mirrorProgress: async () => undefined }
  const { cursor } = await run(input, { ...slow(), observer, replays }, stop.signal)
  return cursor
}

async function deleteGroup(groupId: string): Promise<void> {
  const admin = broker.kafka.admin()
  await admin.connect()
  await admin.deleteGroups([groupId])
  await admin.disconnect()
}

/** The group goes, and the replay ends as it does then. */
async function loseCursor(planned: Planned, lost: readonly LogInput[] = [planned]): Promise<void> {
  for (const log of lost) {
    await deleteGroup(groupOf(log))
    await expect(run(log)).rejects.toMatchObject({ code: 'CURSOR_LOST' })
  }
  await fail(planned)
}

async function fail({ planId, replayId, request }: Planned): Promise<void> {
  await fenceReplay(platform.deps, scopeOf(), { planId })
  const error = { code: 'CURSOR_LOST', detail: 'the cursor is gone' } as const
  await finishReplay(platform.deps, { replayId, request, status: 'failed', error })
}

const recover = (planned: Planned, acceptDoubles = false) =>
  recoverCursor(platform.deps, scopeOf(), { planId: planned.planId, acceptDoubles })

/** Goes on to the end, and holds target and receipt against what an undisturbed replay leaves. */
async function expectPerfect(planned: Planned, expected: readonly RecordSpec[]): Promise<void> {
  expect(await run(planned)).toMatchObject({ done: true, events: String(expected.length) })
  const found = await broker.readCommitted(planned.target)
  expect(compare(found, expected, { ...planned, partition: 0 })).toEqual(perfect(expected.length))
  const fenced = await fenceReplay(platform.deps, scopeOf(), planned)
  expect(fenced.logs).toMatchObject([
    { cursor: String(count), events: String(expected.length), rootHash: rootOfSpecs(expected) },
  ])
}

const mirrorOf = async ({ planId }: LogInput) =>
  (await platform.store.replays.getPlan(planId))?.logs.map(({ cursor, events }) => [cursor, events])

it('goes on behind what the target holds, however far the mirror is behind it', async () => {
  const planned = await plan()
  const cursor = await produceUnmirrored(planned, 4)
  expect(Number(cursor)).toBeGreaterThan(1_000)
  expect(await mirrorOf(planned)).toEqual([[0n, 0n]])
  await loseCursor(planned)
  await expect(run(planned)).rejects.toMatchObject({ code: 'CURSOR_LOST' })
  expect(await recover(planned)).toEqual({
    logs: [{ partition: 0, cursor, events: cursor, by: 'read-back' }],
  })
  expect(await mirrorOf(planned)).toEqual([[BigInt(cursor), BigInt(cursor)]])
  expect(await platform.store.replays.getReplay(planned.replayId)).toMatchObject({
    status: 'running',
    error: null,
  })
  // Once more changes nothing.
  expect(await recover(planned)).toEqual({ logs: [{ partition: 0, cursor, events: cursor, by: 'kept' }] })
  await expectPerfect(planned, specs(count))
})

it('goes on from the mirror where the last record lies before it, as with rare events', async () => {
  const typeOf = (at: bigint) => (at % 1_000n === 7n ? 'rare' : 'common')
  const planned = await plan({ typeOf }, { filters: { eventTypes: ['rare'] } })
  const stop = new AbortController()
  const observer = { ...platform.deps.observer, pageCommitted: () => stop.abort() }
  // With a filter a page looks at ten times as many positions.
  const stopped = await run(planned, { ...slow(), observer }, stop.signal)
  expect(stopped.done).toBe(false)
  expect(Number(stopped.cursor) % 1_000).not.toBe(8)
  await loseCursor(planned)
  expect((await recover(planned)).logs).toMatchObject([{ cursor: stopped.cursor, by: 'read-back' }])
  await expectPerfect(
    planned,
    specs(count).filter((spec) => typeOf(spec.offset) === 'rare'),
  )
})

it('begins at the beginning when nothing was produced yet', async () => {
  const planned = await plan()
  await run(planned, { settings: { ...platform.deps.settings, sliceMs: 0 } })
  await loseCursor(planned)
  expect((await recover(planned)).logs).toMatchObject([{ cursor: '0', events: '0', by: 'read-back' }])
  await expectPerfect(planned, specs(count))
})

it('believes the mirror of a log that was done, and restores its root', async () => {
  const planned = await plan()
  await run(planned)
  await loseCursor(planned, [])
  await deleteGroup(groupOf(planned))
  expect((await recover(planned)).logs).toMatchObject([{ cursor: String(count), by: 'mirror-end' }])
  await expectPerfect(planned, specs(count))
})

it('takes the seal off logs that kept their cursor, and leaves those alone that never began', async () => {
  const topic = await broker.makeTopic(3)
  for (const partition of [0, 1, 2]) await fill({ topic, partition, count })
  const replayId = randomUUID()
  const request = { topic, targetTopic: `${topic}-replay` }
  const { planId, logs } = await planReplay(platform.deps, scopeOf(), {
    replayId,
    request,
    requestedBy: 'test',
  })
  const [lost, kept, unstarted] = logs.map((log) => ({ planId, logId: log.logId }))
  if (lost === undefined || kept === undefined || unstarted === undefined) throw new Error('three logs')
  const planned = { ...lost, replayId, request, topic, target: `${topic}-replay` }
  const cursors = [await produceUnmirrored(lost, 3), await produceUnmirrored(kept, 2)]
  await loseCursor(planned, [lost])
  // The seal of a log that never began went the same way.
  await deleteGroup(groupOf(unstarted))
  await expect(run(kept)).rejects.toMatchObject({ code: 'REPLAY_ENDED' })
  expect((await recover(planned)).logs).toMatchObject([
    { partition: 0, cursor: cursors[0], by: 'read-back' },
    { partition: 1, cursor: cursors[1], by: 'kept' },
    { partition: 2, cursor: '0', by: 'unstarted' },
  ])
  for (const [partition, log] of [lost, kept, unstarted].entries()) {
    await run(log)
    const found = await broker.readCommitted(planned.target, partition)
    expect(compare(found, specs(count), { replayId, topic, partition })).toEqual(perfect(count))
  }
})

it('an older owner in the middle of a transaction adds nothing to what was found', async () => {
  const planned = await plan()
  const cursor = await produceUnmirrored(planned, 2)
  await loseCursor(planned)
  const record = await platform.store.replays.getPlan(planned.planId)
  const [log] = record?.logs ?? []
  if (record === null || log === undefined) throw new Error('no plan')
  const { lane } = await takeLane(platform.deps, record.plan, log, 1_000_000, never)
  await lane.send(0, { records: sourceRecords([someRecord(7n)]), selected: null, headersOf: null })
  expect((await recover(planned)).logs).toMatchObject([{ cursor, by: 'read-back' }])
  await expect(lane.commit({ offset: offset(9n), metadata: '' })).rejects.toMatchObject({ fenced: true })
  await lane.close()
  await expectPerfect(planned, specs(count))
})

const someRecord = (at: bigint) => record(at, { headers: [] })

it('asks for a decision when the target no longer has the records, and then doubles at most what was not mirrored', async () => {
  const planned = await plan()
  const cursor = Number(await produceUnmirrored(planned, 3))
  const mirrored = offset(256n)
  await platform.store.replays.mirrorProgress(planned.planId, logId(planned.logId), mirrored, 256n, null)
  await loseCursor(planned)
  const admin = broker.kafka.admin()
  await admin.connect()
  await admin.fetchTopicOffsets(planned.target)
  const end = await broker.endOf(planned.target)
  await admin.deleteTopicRecords({
    topic: planned.target,
    partitions: [{ partition: 0, offset: String(end) }],
  })
  await admin.disconnect()
  await expect(recover(planned)).rejects.toMatchObject({
    code: 'CURSOR_LOST',
    message: expect.stringContaining('--accept-doubles'),
  })
  await fail(planned)
  expect((await recover(planned, true)).logs).toMatchObject([{ cursor: '256', events: '256', by: 'mirror' }])
  expect(await run(planned)).toMatchObject({ events: String(count), done: true })
  // What was there before is gone; behind it comes everything that the mirror did not know.
  const found = await broker.readCommitted(planned.target)
  const expected = specs(count - 256, 256)
  expect(compare(found, expected, { ...planned, partition: 0 })).toEqual(perfect(expected.length))
  expect(cursor).toBeGreaterThan(256)
  const fenced = await fenceReplay(platform.deps, scopeOf(), planned)
  expect(fenced.logs).toMatchObject([{ events: String(count), rootHash: rootOfSpecs(specs(count)) }])
})

it('reads back although doubles would be accepted', async () => {
  const planned = await plan()
  const cursor = await produceUnmirrored(planned, 3)
  await loseCursor(planned)
  expect((await recover(planned, true)).logs).toMatchObject([{ cursor, by: 'read-back' }])
  await expectPerfect(planned, specs(count))
})

it('refuses to go on where committed records are missing from the target, whatever is accepted', async () => {
  const planned = await plan()
  await produceUnmirrored(planned, 2)
  // As if the target had been cut back: the mirror knows of more than it holds.
  await platform.store.replays.mirrorProgress(
    planned.planId,
    logId(planned.logId),
    offset(4_000n),
    4_000n,
    null,
  )
  await loseCursor(planned)
  for (const acceptDoubles of [false, true]) {
    await expect(recover(planned, acceptDoubles)).rejects.toMatchObject({
      code: 'CURSOR_LOST',
      message: expect.stringContaining('are gone from it'),
    })
    await fail(planned)
  }
})

it('does not take the records of another installation’s replay of the same name for its own', async () => {
  const planned = await plan()
  const { replays } = platform.store
  const foreign = await planReplay(platform.deps, scopeOf(), {
    replayId: randomUUID(),
    request: planned.request,
    requestedBy: 'test',
  })
  const getPlan = async (planId: string) => {
    const record = await replays.getPlan(planId)
    return record && { ...record, plan: { ...record.plan, replayId: planned.replayId } }
  }
  await produceUnmirrored({ planId: foreign.planId, logId: planned.logId }, 2, { ...replays, getPlan })
  await run(planned, { settings: { ...platform.deps.settings, sliceMs: 0 } })
  await loseCursor(planned)
  await expect(recover(planned)).rejects.toMatchObject({
    code: 'CURSOR_LOST',
    message: expect.stringContaining('of this name by another producer'),
  })
})

it('leaves a replay alone that did not fail with a lost cursor', async () => {
  const planned = await plan({ count: 10 })
  await finishReplay(platform.deps, { ...planned, status: 'cancelled' })
  await expect(recover(planned)).rejects.toMatchObject({ code: 'REPLAY_ENDED' })
  const unknown = recoverCursor(platform.deps, scopeOf(), { planId: randomUUID(), acceptDoubles: false })
  await expect(unknown).rejects.toMatchObject({ code: 'REPLAY_NOT_FOUND' })
})

it('fails with the target’s own code when the target is another one now', async () => {
  const planned = await plan({ count: 10 })
  await run(planned)
  await fail(planned)
  await broker.deleteTopic(planned.target)
  await broker.gone(planned.target)
  await expect(recover(planned)).rejects.toMatchObject({ code: 'TARGET_MISSING' })
  await broker.directory.create(planned.target, 1, {})
  await expect(recover(planned)).rejects.toMatchObject({ code: 'TARGET_RECREATED' })
})
