import { randomUUID } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type LogEntry, offset, type RecordEntry } from '../../src/domain/model.ts'
import type { Page } from '../../src/ports.ts'
import { decodeCursor, encodeCursor } from '../../src/store/cursors.ts'
import { withClient } from '../support/database.ts'
import { accepted, eventEntries, idOf, recordEntry } from './entries.ts'
import { appendTo, type OpenLog, openLog, useStore } from './fixture.ts'

const fixture = useStore('queries')

/** Walks all pages; `limit` items each. */
async function all<T>(read: (cursor?: string) => Promise<Page<T>>): Promise<{ items: T[]; pages: number }> {
  const items: T[] = []
  let cursor: string | undefined
  for (let pages = 1; ; pages++) {
    const page = await read(cursor)
    items.push(...page.items)
    if (page.nextCursor === null) return { items, pages }
    cursor = page.nextCursor
  }
}

/** Two partitions of one topic, 700 events each. */
async function twoPartitions(): Promise<{ topic: string; opens: OpenLog[] }> {
  const topic = `queried-${randomUUID()}`
  const opens: OpenLog[] = []
  for (const partition of [0, 1]) {
    const log = await fixture.store.writer.openLog(
      { topic, partition, topicId: randomUUID() },
      offset(10n),
      0,
    )
    const open = { log, position: log.position }
    const decodedOf = (at: bigint) =>
      accepted(BigInt(partition) * 10_000n + at, {
        type: at % 100n === 0n ? 'rare' : 'common',
        source: `source-${at % 2n}`,
        tenantId: at % 3n === 0n ? null : 'tenant',
        classification: at % 5n === 0n ? 'SECRET' : 'UNCLASSIFIED',
      })
    await appendTo(fixture.store, open, eventEntries(10n, 710n, decodedOf), 710n)
    opens.push(open)
  }
  return { topic, opens }
}

test('events come page by page, by log and offset, each once', async () => {
  const { topic } = await twoPartitions()
  const { queries } = fixture.store
  for (const [limit, expectedPages] of [
    [97, 15],
    [700, 3],
    [1_400, 2],
  ] as const) {
    const { items, pages } = await all((cursor) =>
      queries.findEvents({ topic, limit, ...(cursor === undefined ? {} : { cursor }) }),
    )
    expect(pages).toBeLessThanOrEqual(expectedPages)
    const keys = items.map((event) => BigInt(event.partition) * 10_000n + event.offset)
    expect(keys).toEqual(
      [0n, 1n].flatMap((p) => Array.from({ length: 700 }, (_, i) => p * 10_000n + 10n + BigInt(i))),
    )
  }
})

test('an event has everything that its row has', async () => {
  const open = await openLog(fixture.store, 0n, 3)
  const decoded = accepted(5, { tenantId: null, policyTags: ['PII', 'a b'], classification: 'CONFIDENTIAL' })
  const spec = { offset: 5n, key: null, value: Buffer.from([0, 255]), headers: Buffer.of(0), timestamp: 12n }
  const entry = recordEntry(spec, decoded)
  const outcome = await appendTo(fixture.store, open, [entry], 6n)
  const { items } = await fixture.store.queries.findEvents({ topic: open.log.identity.topic, limit: 10 })
  expect(items).toEqual([
    {
      logId: open.log.logId,
      topic: open.log.identity.topic,
      topicId: open.log.identity.topicId,
      partition: 3,
      incarnation: 1,
      startOffset: 0n,
      offset: 5n,
      leafIndex: 0n,
      id: idOf(5),
      type: 'entity.created',
      source: 'test',
      tenantId: null,
      timestampMs: 1_700_000_000_005,
      kafkaTimestamp: 12n,
      classification: 'CONFIDENTIAL',
      policyTags: ['PII', 'a b'],
      key: null,
      value: spec.value,
      headers: spec.headers,
      contentHash: decoded.kind === 'event' ? decoded.contentHash : '',
      leafHash: entry.leaf,
      ingestedAt: outcome.kind === 'appended' ? outcome.ingestedAt : null,
    },
  ])
  expect(await fixture.store.queries.findEventsById(idOf(5), { partition: 3 })).toEqual(items)
})

test('filters of events are joined by AND', async () => {
  const { topic } = await twoPartitions()
  const { queries } = fixture.store
  const offsetsOf = async (query: object) =>
    (await queries.findEvents({ topic, limit: 1_000, ...query })).items.map((event) => Number(event.offset))
  expect(await offsetsOf({ type: 'rare', partition: 1 })).toEqual([100, 200, 300, 400, 500, 600, 700])
  expect(await offsetsOf({ type: 'rare', tenantId: 'tenant', partition: 0 })).toEqual([
    100, 200, 400, 500, 700,
  ])
  expect(
    await offsetsOf({ source: 'source-1', classification: 'SECRET', partition: 0, toOffset: offset(30n) }),
  ).toEqual([15, 25])
  expect(await offsetsOf({ fromOffset: offset(705n), partition: 0 })).toEqual([705, 706, 707, 708, 709])
  expect(await offsetsOf({ fromOffset: offset(9_999n) })).toEqual([])
  expect(await offsetsOf({ topic: 'no such topic' })).toEqual([])
  for (const text of ['nul\u0000', '\udc00']) expect(await offsetsOf({ type: text })).toEqual([])
})

test('a search for what is rare stops at its bound and goes on from its cursor', async () => {
  const open = await openLog(fixture.store)
  const total = 9_000n
  const one = (at: bigint) => accepted(at, at === total - 1n ? { source: 'needle' } : {})
  // Values so large that each window holds few.
  const value = Buffer.alloc(100_000, 'v')
  const entries: RecordEntry[] = eventEntries(0n, total, one, (at) => ({
    offset: at,
    value: at < 8_000n ? Buffer.of(1) : value,
  }))
  for (let at = 0; at < 9_000; at += 3_000)
    await appendTo(fixture.store, open, entries.slice(at, at + 3_000), BigInt(at + 3_000))
  const { items, pages } = await all((cursor) =>
    fixture.store.queries.findEvents({
      topic: open.log.identity.topic,
      source: 'needle',
      limit: 5,
      ...(cursor === undefined ? {} : { cursor }),
    }),
  )
  expect(items.map((event) => event.offset)).toEqual([total - 1n])
  expect(pages).toBeLessThan(10)
  // And what is large stops at its bytes.
  const first = await fixture.store.queries.findEvents({
    topic: open.log.identity.topic,
    fromOffset: offset(8_000n),
    limit: 1_000,
  })
  expect(first.items.length).toBeGreaterThan(100)
  expect(first.items.length).toBeLessThan(400)
  expect(first.nextCursor).not.toBeNull()
})

test('one id may be found in several logs, and be narrowed to one', async () => {
  const { queries } = fixture.store
  const [a, b] = [await openLog(fixture.store, 0n, 1), await openLog(fixture.store, 0n, 2)]
  const id = randomUUID()
  for (const open of [a, b])
    await appendTo(fixture.store, open, [recordEntry({ offset: 0n }, accepted(0, { id }))], 1n)
  expect((await queries.findEventsById(id, {})).map((event) => event.partition)).toEqual([1, 2])
  expect(await queries.findEventsById(id.toUpperCase(), { topic: b.log.identity.topic })).toHaveLength(1)
  expect(await queries.findEventsById(id, { topic: a.log.identity.topic, partition: 2 })).toEqual([])
  for (const nonsense of ['', 'nonsense', `${id} `])
    expect(await queries.findEventsById(nonsense, {})).toEqual([])
})

test('dead letters come page by page, chosen by code, topic and partition', async () => {
  const open = await openLog(fixture.store, 0n, 4)
  const entries: LogEntry[] = Array.from({ length: 250 }, (_, i) =>
    recordEntry(
      { offset: BigInt(i), key: null, value: i % 2 === 0 ? null : Buffer.from('x') },
      { kind: 'rejected', code: i % 2 === 0 ? 'TOMBSTONE' : 'INVALID_JSON', detail: `because ${i}` },
    ),
  )
  await appendTo(fixture.store, open, entries, 250n)
  const { topic } = open.log.identity
  const read = (query: object) =>
    all((cursor) =>
      fixture.store.queries.findDeadLetters({
        topic,
        limit: 40,
        ...query,
        ...(cursor === undefined ? {} : { cursor }),
      }),
    )
  const everything = await read({})
  expect(everything.items.map((letter) => Number(letter.offset))).toEqual(
    Array.from({ length: 250 }, (_, i) => i),
  )
  expect(everything.pages).toBe(7)
  const tombstones = await read({ code: 'TOMBSTONE', partition: 4 })
  expect(tombstones.items.map((letter) => Number(letter.offset))).toEqual(
    Array.from({ length: 125 }, (_, i) => 2 * i),
  )
  expect(tombstones.items[3]).toMatchObject({
    topic,
    partition: 4,
    leafIndex: 6n,
    code: 'TOMBSTONE',
    detail: 'because 6',
    key: null,
    value: null,
    kafkaTimestamp: 1_700_000_000_006n,
  })
  expect((await read({ partition: 5 })).items).toEqual([])
})

test('a cursor of another list, another length or another making is bad input', async () => {
  const { queries } = fixture.store
  const good = encodeCursor('events', [1n, 5n])
  expect(decodeCursor('events', good, 2)).toEqual([1n, 5n])
  for (const cursor of [
    '',
    'x',
    `${good}=`,
    `${good}A`,
    encodeCursor('dead-letters', [1n, 5n]),
    encodeCursor('events', [1n]),
    encodeCursor('events', [1n, 2n ** 63n]),
    encodeCursor('events', [-2n, 0n]),
    Buffer.from('events,01,5').toString('base64url'),
    Buffer.from('events,1e3,5').toString('base64url'),
  ])
    await expect(queries.findEvents({ cursor, limit: 1 }), cursor).rejects.toMatchObject({
      code: 'BAD_REQUEST',
      fields: [{ path: 'cursor' }],
    })
  fc.assert(
    fc.property(fc.array(fc.bigInt(-1n, 2n ** 63n - 1n), { minLength: 2, maxLength: 2 }), (position) => {
      expect(decodeCursor('events', encodeCursor('events', position), 2)).toEqual(position)
    }),
  )
})

test('actions are recorded as they were sent', async () => {
  const action = {
    actor: 'me\u0000',
    action: 'replay.start',
    target: 'replay/x',
    outcome: 'accepted',
    requestId: 'r-1',
    detail: { body: { topic: 'a\u0000b', lone: '\ud800' } },
  }
  await fixture.store.queries.recordAction(action)
  await fixture.store.queries.recordAction({ ...action, detail: undefined })
  const { rows } = await withClient(fixture.database.adminUrl, (client) =>
    client.query('select actor, detail::text, created_at from operator_actions order by id'),
  )
  expect(rows).toMatchObject([{ actor: 'me\ufffd', created_at: expect.any(Date) }, { detail: null }])
  expect(JSON.parse(rows[0].detail)).toEqual(action.detail)
})

test('all logs are listed, every incarnation; the logs of a topic are the newest', async () => {
  const open = await openLog(fixture.store, 0n, 7)
  const { topic } = open.log.identity
  const newer = randomUUID()
  await withClient(fixture.database.adminUrl, (client) =>
    client.query(
      'insert into partition_logs (topic, partition, topic_id, leader_epoch, start_offset) values ($1, 7, $2, 4, 3)',
      [topic, newer],
    ),
  )
  const logs = (await fixture.store.queries.allLogs()).filter((log) => log.identity.topic === topic)
  expect(logs.map((log) => log.identity.topicId)).toEqual([open.log.identity.topicId, newer])
  expect(await fixture.store.reader.logsOf(topic)).toMatchObject([
    { identity: { topicId: newer }, startOffset: 3n, leaderEpoch: 4 },
  ])
  expect(await fixture.store.reader.logsOf('no such topic')).toEqual([])
  expect(await fixture.store.reader.logById(open.log.logId)).toMatchObject({ logId: open.log.logId })
})
