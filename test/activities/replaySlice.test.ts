import { randomUUID } from 'node:crypto'
import { expect, it } from 'vitest'
import type { LogInput } from '../../activities/contract.ts'
import type { ActivityDependencies } from '../../activities/dependencies.ts'
import { fenceReplay } from '../../activities/fenceReplay.ts'
import { finishReplay } from '../../activities/finishReplay.ts'
import { planReplay } from '../../activities/planReplay.ts'
import { replaySlice } from '../../activities/replaySlice.ts'
import { touchCursor } from '../../activities/touchCursor.ts'
import { logId, offset } from '../../src/domain/model.ts'
import type { ReplayRequest } from '../../src/domain/replay.ts'
import type { TransactionLane } from '../../src/ports.ts'
import { wireHeaders } from '../kafka/records.ts'
import type { RecordSpec } from '../store/entries.ts'
import { withClient } from '../support/database.ts'
import { type FillOptions, plainSpec, scopeOf, usePlatform } from './fixture.ts'
import { compare, perfect, rootOfSpecs } from './records.ts'

const { broker, platform, fill } = usePlatform('slice')

const specs = (count: number, specOf = plainSpec): RecordSpec[] =>
  Array.from({ length: count }, (_, index) => specOf(BigInt(index)))

interface Planned extends LogInput {
  readonly replayId: string
  readonly request: ReplayRequest
  readonly topic: string
  readonly target: string
  readonly groupId: string
}

/** A topic with one log of events, and a plan to replay it. */
async function plan(
  options: Partial<FillOptions> = {},
  request: Partial<ReplayRequest> = {},
): Promise<Planned> {
  const topic = await broker.makeTopic(1)
  await fill({ topic, count: 5_000, ...options })
  const replayId = randomUUID()
  const target = `${topic}-replay`
  const full = { topic, targetTopic: target, ...request }
  const planned = await planReplay(platform.deps, scopeOf(), { replayId, request: full, requestedBy: 'test' })
  const id = planned.logs[0]?.logId ?? 0
  const groupId = `replay-${planned.planId}-${id}`
  return { planId: planned.planId, logId: id, replayId, request: full, topic, target, groupId }
}

const run = (input: Planned, deps: Partial<ActivityDependencies> = {}, signal?: AbortSignal) =>
  replaySlice({ ...platform.deps, ...deps }, scopeOf(signal), input)

async function judged(planned: Planned, expected: readonly RecordSpec[]) {
  const found = await broker.readCommitted(planned.target)
  return compare(found, expected, { ...planned, partition: 0 })
}

/** Dependencies whose lanes do something before a call goes through. */
function lanesThat(
  change: (lane: TransactionLane, opened: number) => Partial<TransactionLane>,
): Pick<ActivityDependencies, 'lanes'> {
  const { lanes } = platform.deps
  let opened = 0
  return {
    lanes: {
      async open(options, signal) {
        const lane = await lanes.open(options, signal)
        const own = change(lane, ++opened)
        return {
          get producerId() {
            return lane.producerId
          },
          begin: () => lane.begin(),
          readCursor: () => lane.readCursor(),
          send: (partition, page) => lane.send(partition, page),
          commit: (cursor) => lane.commit(cursor),
          abort: () => lane.abort(),
          close: () => lane.close(),
          ...own,
        }
      },
    },
  }
}

it('replays a log byte for byte and keeps the receipt’s root in the cursor', async () => {
  const planned = await plan()
  expect(await run(planned)).toEqual({ cursor: '5000', events: '5000', done: true })
  expect(await judged(planned, specs(5_000))).toEqual(perfect(5_000))
  const fenced = await fenceReplay(platform.deps, scopeOf(), planned)
  expect(fenced).toEqual({
    targetUnchanged: true,
    logs: [{ partition: 0, cursor: '5000', events: '5000', rootHash: rootOfSpecs(specs(5_000)) }],
  })
  const record = await platform.store.replays.getPlan(planned.planId)
  expect(record?.logs[0]).toMatchObject({ cursor: 5_000n, events: 5_000n, started: true })
})

it('keeps empty, null and repeated headers, and drops those that it writes itself', async () => {
  const odd = (at: bigint): RecordSpec => ({
    ...plainSpec(at),
    timestamp: at === 3n ? -1n : 1_760_000_000_000n - at * 86_400_000n,
    key: at === 1n ? Buffer.alloc(0) : null,
    headers: wireHeaders([
      ['b', Buffer.from('1')],
      ['replay-source-offset', Buffer.from('from an earlier replay')],
      ['a', null],
      ['b', Buffer.alloc(0)],
      ['', Buffer.from([0, 255])],
      ['replay-', Buffer.from('not one of ours')],
      ['replay-id', null],
    ]),
  })
  const planned = await plan({ count: 50, specOf: odd })
  await run(planned)
  expect(await judged(planned, specs(50, odd))).toEqual(perfect(50))
})

it('replays what the filters admit, and only that', async () => {
  const typeOf = (at: bigint) => (at % 100n === 7n ? 'rare' : 'common')
  const planned = await plan({ typeOf }, { filters: { eventTypes: ['rare'] } })
  expect(await run(planned)).toEqual({ cursor: '5000', events: '50', done: true })
  const wanted = specs(5_000).filter((spec) => typeOf(spec.offset) === 'rare')
  expect(await judged(planned, wanted)).toEqual(perfect(50))
})

it('goes on where an older slice stopped', async () => {
  const planned = await plan()
  const settings = { ...platform.deps.settings, sliceMs: 0 }
  expect(await run(planned, { settings })).toEqual({ cursor: '0', events: '0', done: false })
  const half = new AbortController()
  const observer = {
    ...platform.deps.observer,
    pageCommitted: () => half.abort(),
  }
  const small = { ...platform.deps.settings, pageEvents: 300 }
  const later = lanesThat((lane) => ({
    send: async (partition, page) => {
      await lane.send(partition, page)
      half.abort()
    },
  }))
  const stopped = await run(planned, { settings: small, observer, ...later }, half.signal)
  expect(stopped.done).toBe(false)
  expect(Number(stopped.cursor)).toBeGreaterThan(0)
  expect(await judged(planned, specs(Number(stopped.cursor)))).toEqual(perfect(Number(stopped.cursor)))
  expect(await run(planned)).toMatchObject({ cursor: '5000', done: true })
  expect(await judged(planned, specs(5_000))).toEqual(perfect(5_000))
})

it('finds out what became of a commit without an answer', async () => {
  for (const arrives of [true, false]) {
    const planned = await plan()
    let commits = 0
    const flaky = lanesThat((lane) => ({
      commit: async (cursor) => {
        commits++
        if (commits !== 3 || arrives) await lane.commit(cursor)
        if (commits === 3) throw new Error('the connection broke')
      },
    }))
    const settings = { ...platform.deps.settings, pageEvents: 256, sliceMs: 3_600_000 }
    const small = { ...platform.deps, settings, ...flaky, now: everyHalfSecond() }
    expect(await replaySlice(small, scopeOf(), planned)).toMatchObject({ events: '5000', done: true })
    expect(commits).toBeGreaterThan(4)
    expect(await judged(planned, specs(5_000))).toEqual(perfect(5_000))
  }
})

/** A clock by which every transaction has taken long enough after its first page. */
function everyHalfSecond(): () => number {
  let nowMs = 0
  return () => {
    nowMs += 500
    return nowMs
  }
}

it('gives up after some lanes in a row, with a code that is tried again', async () => {
  const planned = await plan({ count: 10 })
  let opened = 0
  const broken = lanesThat((_, count) => {
    opened = count
    return { send: () => Promise.reject(new Error('{"value":"a whole message"}')) }
  })
  await expect(run(planned, broken)).rejects.toThrow()
  expect(opened).toBe(5)
})

it('does not take a lane back from whoever fenced it', async () => {
  const planned = await plan()
  let taken = false
  let opened = 0
  const robbed = lanesThat((lane, count) => {
    opened = count
    return {
      send: async (partition, page) => {
        if (!taken) {
          taken = true
          await touchCursor(platform.deps, scopeOf(), planned)
        }
        await lane.send(partition, page)
      },
    }
  })
  await expect(run(planned, robbed)).rejects.toMatchObject({ code: 'KAFKA_UNAVAILABLE' })
  expect(opened).toBe(1)
  await run(planned)
  expect(await judged(planned, specs(5_000))).toEqual(perfect(5_000))
})

it('adds nothing after the fence, not even from a worker that had not begun yet', async () => {
  const planned = await plan()
  await fenceReplay(platform.deps, scopeOf(), planned)
  await expect(run(planned)).rejects.toMatchObject({ code: 'REPLAY_ENDED' })
  expect(await judged(planned, [])).toEqual(perfect(0))
})

it('adds nothing after the end, even when Kafka has forgotten the seal', async () => {
  const planned = await plan()
  await finishReplay(platform.deps, { ...planned, status: 'cancelled' })
  await expect(run(planned)).rejects.toMatchObject({ code: 'REPLAY_ENDED' })
  expect(await judged(planned, [])).toEqual(perfect(0))
})

it('fences again with the same outcome', async () => {
  const planned = await plan({ count: 100 })
  await run(planned)
  const first = await fenceReplay(platform.deps, scopeOf(), planned)
  expect(await fenceReplay(platform.deps, scopeOf(), planned)).toEqual(first)
})

it('touches the cursor without moving it', async () => {
  const planned = await plan({ count: 100 })
  await touchCursor(platform.deps, scopeOf(), planned)
  await run(planned)
  await touchCursor(platform.deps, scopeOf(), planned)
  const fenced = await fenceReplay(platform.deps, scopeOf(), planned)
  expect(fenced.logs[0]).toMatchObject({ cursor: '100', events: '100' })
})

it('CURSOR_LOST when the group is deleted after the start', async () => {
  const planned = await plan({ count: 100 })
  await run(planned)
  const admin = broker.kafka.admin()
  await admin.connect()
  await admin.deleteGroups([planned.groupId])
  await admin.disconnect()
  await expect(run(planned)).rejects.toMatchObject({ code: 'CURSOR_LOST' })
  expect(await judged(planned, specs(100))).toEqual(perfect(100))
  // What the mirror knew is still reported at the end.
  const fenced = await fenceReplay(platform.deps, scopeOf(), planned)
  expect(fenced.logs[0]).toMatchObject({ cursor: '100', events: '100', rootHash: rootOfSpecs(specs(100)) })
})

it('opens its transactions with the time-out that is configured', async () => {
  const planned = await plan({ count: 10 })
  const timeouts: number[] = []
  const lanes: ActivityDependencies['lanes'] = {
    open: (options, signal) => {
      timeouts.push(options.transactionTimeoutMs)
      return platform.deps.lanes.open(options, signal)
    },
  }
  await run(planned, { lanes, settings: { ...platform.deps.settings, transactionTimeoutMs: 7_000 } })
  expect(timeouts).toEqual([7_000])
})

it('CURSOR_LOST when somebody else wrote to the group', async () => {
  const planned = await plan({ count: 100 })
  await run(planned, { settings: { ...platform.deps.settings, sliceMs: 0 } })
  const admin = broker.kafka.admin()
  await admin.connect()
  const partitions = [{ partition: 0, offset: '40' }]
  await admin.setOffsets({ groupId: planned.groupId, topic: planned.target, partitions })
  await admin.disconnect()
  await expect(run(planned)).rejects.toMatchObject({ code: 'CURSOR_LOST' })
  expect(await judged(planned, [])).toEqual(perfect(0))
})

it('CURSOR_LOST when the cursor is behind what it was', async () => {
  const planned = await plan({ count: 100 })
  await platform.store.replays.mirrorProgress(planned.planId, logId(planned.logId), offset(60n), 60n, null)
  const settings = { ...platform.deps.settings, sliceMs: 0 }
  await expect(run(planned, { settings })).rejects.toMatchObject({ code: 'CURSOR_LOST' })
})

it('LOG_DAMAGED names the place when a stored event no longer matches its leaf', async () => {
  const planned = await plan({ count: 100 })
  await withClient(platform.database.adminUrl, async (client) => {
    const { rows } = await client.query<{ name: string }>(
      `select inhrelid::regclass::text as name from pg_inherits where inhparent = 'events'::regclass`,
    )
    for (const { name } of [{ name: 'events' }, ...rows])
      await client.query(`alter table ${name} disable trigger all`)
    await client.query(`update events set value = 'forged' where log_id = $1 and "offset" = 73`, [
      planned.logId,
    ])
  })
  await expect(run(planned)).rejects.toMatchObject({
    code: 'LOG_DAMAGED',
    message: expect.stringContaining('offset 73'),
  })
  await fenceReplay(platform.deps, scopeOf(), planned)
  expect(await judged(planned, [])).toEqual(perfect(0))
})

it('TARGET_RECREATED when the target was deleted and made again, before or during a slice', async () => {
  const before = await plan({ count: 100 })
  const settings = { ...platform.deps.settings, sliceMs: 0 }
  await run(before, { settings })
  const remake = async ({ target }: Planned): Promise<void> => {
    await broker.deleteTopic(target)
    while ((await broker.directory.describe(target)) !== null);
    await broker.directory.create(target, 1, {})
  }
  await remake(before)
  await expect(run(before)).rejects.toMatchObject({ code: 'TARGET_RECREATED' })

  const during = await plan({ count: 100 })
  const remade = lanesThat((lane) => ({
    send: async (partition, page) => {
      await remake(during)
      await lane.send(partition, page)
    },
  }))
  await expect(run(during, remade)).rejects.toMatchObject({ code: 'TARGET_RECREATED' })
  // The fence ends the transaction that was left open.
  expect((await fenceReplay(platform.deps, scopeOf(), during)).targetUnchanged).toBe(false)
  expect(await broker.readCommitted(during.target)).toEqual([])
})

it('TARGET_MISSING when the target is gone; the fence works all the same', async () => {
  const planned = await plan({ count: 100 })
  await run(planned)
  await broker.deleteTopic(planned.target)
  await broker.gone(planned.target)
  await expect(run(planned)).rejects.toMatchObject({ code: 'TARGET_MISSING' })
  const fenced = await fenceReplay(platform.deps, scopeOf(), planned)
  expect(fenced).toMatchObject({ targetUnchanged: false, logs: [{ cursor: '100', events: '100' }] })
})

it('TARGET_REJECTED names the offset when the target’s limits were lowered', async () => {
  const specOf = (at: bigint): RecordSpec =>
    at === 42n ? { ...plainSpec(at), value: Buffer.alloc(20_000, 'x') } : plainSpec(at)
  const planned = await plan({ count: 100, specOf })
  const admin = broker.kafka.admin()
  await admin.connect()
  const configEntries = [{ name: 'max.message.bytes', value: '10000' }]
  await admin.alterConfigs({
    validateOnly: false,
    resources: [{ type: 2, name: planned.target, configEntries }],
  })
  await admin.disconnect()
  await expect(run(planned)).rejects.toMatchObject({
    code: 'TARGET_REJECTED',
    message: expect.stringContaining('offset 42'),
  })
})
