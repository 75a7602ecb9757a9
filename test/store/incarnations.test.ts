import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { offset } from '../../src/domain/model.ts'
import type { LogState } from '../../src/ports.ts'
import { withClient } from '../support/database.ts'
import { eventEntries, requestFor } from './entries.ts'
import { appendTo, type OpenLog, openLog, useStore } from './fixture.ts'

const fixture = useStore('incarnations')

const stateOf = ({ log, position }: OpenLog): LogState => ({ ...log, position })

/** Opens the next log of the same topic, as after a source that was cut back. */
const follow = (open: OpenLog, topicId: () => Promise<string> = async () => open.log.identity.topicId) =>
  fixture.store.writer.openIncarnation(
    stateOf(open),
    { topicId: open.log.identity.topicId, startOffset: offset(3n) },
    topicId,
  )

async function filled(count: bigint): Promise<OpenLog> {
  const open = await openLog(fixture.store)
  await appendTo(fixture.store, open, eventEntries(0n, count), count)
  return open
}

const rowsOf = (open: OpenLog) =>
  withClient(fixture.database.adminUrl, async (client) => {
    const { rows } = await client.query('select "offset"::int as at from events where log_id = $1', [
      open.log.logId,
    ])
    return rows.length
  })

test('a second log of one topic id begins empty, and the first takes nothing more', async () => {
  const { store } = fixture
  const open = await filled(10n)
  const outcome = await follow(open)
  if (outcome.kind !== 'opened') throw new Error(outcome.kind)
  const { log } = outcome
  expect(log).toMatchObject({
    identity: open.log.identity,
    incarnation: 2,
    startOffset: 3n,
    leaderEpoch: -1,
    position: { nextOffset: 3n, size: 0n, frontier: [] },
    lastIngestedAt: null,
  })
  expect(await store.writer.findLog(open.log.identity.topic, 0)).toEqual(log)

  expect(await appendTo(store, open, eventEntries(10n, 20n), 20n)).toEqual({
    kind: 'superseded',
    logId: log.logId,
  })
  // Nothing to append is nothing to move either.
  expect(await appendTo(store, open, [], 20n)).toMatchObject({ kind: 'superseded' })
  expect(await rowsOf(open)).toBe(10)
  expect(await store.reader.logById(open.log.logId)).toMatchObject({ position: open.position })

  const next = { log, position: log.position }
  expect(await appendTo(store, next, eventEntries(3n, 12n), 12n)).toMatchObject({ events: 9 })
  const { rows } = await withClient(fixture.database.adminUrl, (client) =>
    client.query('select min(leaf_index)::int as first from events where log_id = $1', [log.logId]),
  )
  expect(rows).toEqual([{ first: 0 }])
})

test('an append that waited for the lock while the incarnation was opened appends nothing', async () => {
  const { store } = fixture
  const open = await filled(10n)
  const asked = Promise.withResolvers<void>()
  const answered = Promise.withResolvers<string>()
  const opening = follow(open, () => {
    asked.resolve()
    return answered.promise
  })
  await asked.promise
  const appending = appendTo(store, open, eventEntries(10n, 20n), 20n)
  await waitsForLock()
  answered.resolve(open.log.identity.topicId)
  expect(await opening).toMatchObject({ kind: 'opened' })
  expect(await appending).toMatchObject({ kind: 'superseded' })
  expect(await rowsOf(open)).toBe(10)
})

test('an append in flight is waited for, and then the decision was about another log', async () => {
  const { store } = fixture
  const open = await filled(10n)
  const asked = Promise.withResolvers<void>()
  const answered = Promise.withResolvers<string>()
  const request = requestFor(open.log, open.position, eventEntries(10n, 20n), 20n)
  const appending = store.writer.append(await store.writer.prepare(request), () => {
    asked.resolve()
    return answered.promise
  })
  await asked.promise
  const opening = follow(open)
  await waitsForLock()
  answered.resolve(open.log.identity.topicId)
  expect(await appending).toMatchObject({ kind: 'appended' })
  expect(await opening).toEqual({ kind: 'moved' })
  expect(await store.writer.findLog(open.log.identity.topic, 0)).toMatchObject({ incarnation: 1 })
})

/** Resolves when a session of this database waits for another one's lock. */
async function waitsForLock(): Promise<void> {
  await withClient(fixture.database.adminUrl, async (client) => {
    for (;;) {
      const { rowCount } = await client.query(
        `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
      )
      if ((rowCount ?? 0) > 0) return
      await sleep(10)
    }
  })
}

test('of several operators at once one opens, and the others are told that the log moved', async () => {
  const open = await filled(1n)
  const outcomes = await Promise.all(Array.from({ length: 6 }, () => follow(open)))
  expect(outcomes.map(({ kind }) => kind).sort()).toEqual([
    'moved',
    'moved',
    'moved',
    'moved',
    'moved',
    'opened',
  ])
  const { items } = await fixture.store.queries.findLogs({ topic: open.log.identity.topic, limit: 10 })
  expect(items.map(({ incarnation, superseded }) => [incarnation, superseded])).toEqual([
    [1, true],
    [2, false],
  ])
})

test('a topic that is made again before the commit leaves no log behind', async () => {
  const open = await filled(1n)
  const other = '44444444-4444-4444-8444-444444444444'
  expect(await follow(open, async () => other)).toEqual({ kind: 'recreated', topicId: other })
  expect(await appendTo(fixture.store, open, eventEntries(1n, 2n), 2n)).toMatchObject({ kind: 'appended' })
})

test('the database itself keeps an older incarnation as it is', async () => {
  const open = await filled(10n)
  await follow(open)
  await expect(
    withClient(fixture.database.appUrl, (client) =>
      client.query('update partition_logs set next_offset = next_offset + 1 where id = $1', [open.log.logId]),
    ),
  ).rejects.toMatchObject({ code: '55000' })
})

test('logs are listed in pages, narrowed by topic and partition', async () => {
  const { topic } = (await filled(1n)).log.identity
  for (const partition of [1, 2, 3])
    await fixture.store.writer.openLog(
      { topic, partition, topicId: '55555555-5555-4555-8555-555555555555' },
      offset(0n),
      0,
    )
  const { findLogs } = fixture.store.queries
  const first = await findLogs({ topic, limit: 3 })
  expect(first.items.map(({ identity }) => identity.partition)).toEqual([0, 1, 2])
  const second = await findLogs({ topic, limit: 3, cursor: first.nextCursor ?? '' })
  expect(second.items.map(({ identity }) => identity.partition)).toEqual([3])
  expect(second.nextCursor).toBeNull()
  expect((await findLogs({ topic, partition: 2, limit: 3 })).items).toHaveLength(1)
  expect((await findLogs({ topic: 'a\u0000b', limit: 3 })).items).toEqual([])
  await expect(findLogs({ limit: 3, cursor: 'x' })).rejects.toMatchObject({ code: 'BAD_REQUEST' })
})
