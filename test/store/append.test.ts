import { expect, test } from 'vitest'
import { hashFromBytes } from '../../src/domain/hash.ts'
import { logId, offset, type UndecodableEntry } from '../../src/domain/model.ts'
import { ServiceError } from '../../src/errors.ts'
import { withClient } from '../support/database.ts'
import { accepted, eventEntries, gapEntry, idOf, leafOf, recordEntry, requestFor } from './entries.ts'
import { appendTo, openLog, useStore } from './fixture.ts'

const fixture = useStore('append')

const rowsOf = (table: string, logId: number, order: string) =>
  withClient(fixture.database.adminUrl, async (client) => {
    const { rows } = await client.query(`select * from ${table} where log_id = $1 order by ${order}`, [logId])
    return rows
  })

test('a batch becomes rows, byte for byte, and the log moves with it', async () => {
  const { store } = fixture
  const open = await openLog(store, 10n)
  const value = Buffer.from('{"a":"é\\u0000"}')
  const headers = Buffer.from([2, 2, 0x61, 1])
  const event = accepted(10, {
    type: 'entité.créée',
    source: 'x'.repeat(256),
    tenantId: null,
    timestampMs: 253_402_300_799_999,
    classification: 'TOP_SECRET',
    policyTags: ['PII', 'ÄÖ', ''],
  })
  const entries = [
    recordEntry({ offset: 10n, timestamp: 2n ** 53n + 1n, key: null, value, headers }, event),
    recordEntry({ offset: 12n, timestamp: 0n, key: Buffer.alloc(0), value: Buffer.alloc(0) }, accepted(12)),
  ]
  const outcome = await appendTo(store, open, entries, 15n)
  expect(outcome).toMatchObject({ kind: 'appended', events: 2, deadLetters: new Map() })
  expect((await store.writer.findLog(open.log.identity.topic, 0))?.position).toEqual(open.position)
  const ingestedAt = outcome.kind === 'appended' ? outcome.ingestedAt : null
  const [first, second] = await rowsOf('events', open.log.logId, '"offset"')
  expect(first).toEqual({
    log_id: open.log.logId,
    offset: '10',
    leaf_index: '0',
    id: idOf(10),
    type: 'entité.créée',
    source: 'x'.repeat(256),
    tenant_id: null,
    event_time: '253402300799999',
    kafka_timestamp: '9007199254740993',
    classification: 'TOP_SECRET',
    policy_tags: ['PII', 'ÄÖ', ''],
    key: null,
    value,
    headers,
    content_hash: Buffer.from(event.kind === 'event' ? event.contentHash : '', 'latin1'),
    leaf_hash: Buffer.from(leafOf(10), 'latin1'),
    ingested_at: ingestedAt,
  })
  expect(second).toMatchObject({
    offset: '12',
    leaf_index: '1',
    key: Buffer.alloc(0),
    value: Buffer.alloc(0),
  })
  expect((await store.writer.findLog(open.log.identity.topic, 0))?.lastIngestedAt).toEqual(ingestedAt)
})

test('values larger than a chunk arrive whole', async () => {
  const { store } = fixture
  const open = await openLog(store)
  const sizes = [65_531, 65_000, 200_000, 1, 64_900, 1_000_000]
  const values = sizes.map((size, i) => Buffer.alloc(size, `${i}-abcdefg`))
  const entries = values.map((value, i) => recordEntry({ offset: BigInt(i), value }))
  await appendTo(store, open, entries, 6n)
  const rows = await rowsOf('events', open.log.logId, '"offset"')
  expect(rows.map((row) => row.value.equals(values[Number(row.offset)]))).toEqual(sizes.map(() => true))
})

test('dead letters, undecodable batches and gaps are kept, each with its leaf', async () => {
  const { store } = fixture
  const open = await openLog(store)
  const undecodable: UndecodableEntry = {
    kind: 'undecodable',
    batch: {
      firstOffset: offset(2n),
      lastOffset: offset(5n),
      timestamp: 77n,
      bytes: Buffer.alloc(70_000, 'z'),
      detail: 'unpacks to more than the limit',
    },
    leaf: leafOf(2),
  }
  const outcome = await appendTo(
    store,
    open,
    [
      recordEntry({ offset: 0n, value: null }, { kind: 'rejected', code: 'TOMBSTONE', detail: 'no value' }),
      recordEntry(
        { offset: 1n, key: null },
        { kind: 'rejected', code: 'SCHEMA', detail: `NUL \u0000, half \ud800, ${'ü'.repeat(2_000)}` },
      ),
      undecodable,
      gapEntry(6n, 100n),
      recordEntry({ offset: 100n }),
    ],
    101n,
  )
  expect(outcome).toMatchObject({
    kind: 'appended',
    events: 1,
    deadLetters: new Map([
      ['TOMBSTONE', 1],
      ['SCHEMA', 1],
      ['UNDECODABLE_BATCH', 1],
    ]),
  })
  const letters = await rowsOf('dead_letters', open.log.logId, '"offset"')
  expect(
    letters.map(({ offset: at, last_offset, leaf_index, code }) => [at, last_offset, leaf_index, code]),
  ).toEqual([
    ['0', '0', '0', 'TOMBSTONE'],
    ['1', '1', '1', 'SCHEMA'],
    ['2', '5', '2', 'UNDECODABLE_BATCH'],
  ])
  expect(letters[0].value).toBeNull()
  expect(letters[1].key).toBeNull()
  expect(letters[1].detail).toMatch(/^NUL \ufffd, half \ufffd, ü+$/)
  expect(letters[1].detail).toHaveLength(1_000)
  expect(letters[2].value.equals(undecodable.batch.bytes)).toBe(true)
  const gaps = await rowsOf('gaps', open.log.logId, 'from_offset')
  expect(gaps).toMatchObject([{ from_offset: '6', to_offset: '100', leaf_index: '3' }])
  expect(hashFromBytes(gaps[0].leaf_hash)).toBe(leafOf(6))
  const events = await rowsOf('events', open.log.logId, '"offset"')
  expect(events).toMatchObject([{ offset: '100', leaf_index: '4' }])
})

test('an empty batch moves only the offset', async () => {
  const { store } = fixture
  const open = await openLog(store, 5n)
  expect(await appendTo(store, open, [], 9n)).toMatchObject({ kind: 'appended', events: 0 })
  const log = await store.writer.findLog(open.log.identity.topic, 0)
  expect(log).toMatchObject({ position: { nextOffset: 9n, size: 0n }, lastIngestedAt: null })
})

test('a batch from another position appends nothing and says where the log stands', async () => {
  const { store } = fixture
  const open = await openLog(store)
  await appendTo(store, open, eventEntries(0n, 10n), 10n)
  const stale = { log: open.log, position: open.log.position }
  expect(await appendTo(store, stale, eventEntries(0n, 10n), 10n)).toEqual({
    kind: 'moved',
    position: open.position,
  })
  const otherFrontier = { ...open.position, frontier: open.position.frontier.map(() => leafOf(99)) }
  expect(
    await appendTo(store, { log: open.log, position: otherFrontier }, eventEntries(10n, 11n), 11n),
  ).toEqual({
    kind: 'moved',
    position: open.position,
  })
  expect(await rowsOf('events', open.log.logId, '"offset"')).toHaveLength(10)
})

test('a log that the database does not have, or has for another partition under its id, takes nothing', async () => {
  const { store } = fixture
  const [stale, other] = [await openLog(store), await openLog(store)]
  const nothing = { kind: 'moved', position: null }
  // As after a database was put back to before the log was opened, and opened others since.
  const elsewhere = { log: { ...stale.log, logId: other.log.logId }, position: stale.position }
  expect(await appendTo(store, elsewhere, eventEntries(0n, 10n), 10n)).toEqual(nothing)
  const gone = { log: { ...stale.log, logId: logId(2_000_000_000) }, position: stale.position }
  expect(await appendTo(store, gone, eventEntries(0n, 10n), 10n)).toEqual(nothing)
  for (const { log } of [stale, other]) expect(await rowsOf('events', log.logId, '"offset"')).toEqual([])
})

test('another topic id before COMMIT rolls everything back', async () => {
  const { store } = fixture
  const open = await openLog(store)
  const request = requestFor(open.log, open.position, [...eventEntries(0n, 300n), gapEntry(300n, 301n)], 301n)
  const other = '00000000-0000-4000-8000-000000000000'
  const outcome = await store.writer.append(await store.writer.prepare(request), async () => other)
  expect(outcome).toEqual({ kind: 'recreated', topicId: other })
  for (const table of ['events', 'gaps', 'log_nodes'])
    expect(await rowsOf(table, open.log.logId, 'ingested_at')).toEqual([])
  expect((await store.writer.findLog(open.log.identity.topic, 0))?.position).toEqual(open.position)
})

test('when the topic id cannot be had, nothing is appended and the reason comes through', async () => {
  const { store } = fixture
  const open = await openLog(store)
  const prepared = await store.writer.prepare(requestFor(open.log, open.position, eventEntries(0n, 5n), 5n))
  const reason = new ServiceError('KAFKA_UNAVAILABLE', 'no broker answers')
  await expect(store.writer.append(prepared, () => Promise.reject(reason))).rejects.toBe(reason)
  expect(await rowsOf('events', open.log.logId, '"offset"')).toEqual([])
  // What was prepared can be appended later.
  expect(await store.writer.append(prepared, async () => open.log.identity.topicId)).toMatchObject({
    kind: 'appended',
    events: 5,
  })
})

test('text that PostgreSQL refuses is a refusal, rolled back, and the log goes on', async () => {
  const { store } = fixture
  const open = await openLog(store)
  const bad = recordEntry({ offset: 3n }, accepted(3, { type: 'a\u0000b' }))
  const entries = [...eventEntries(0n, 3n), bad]
  expect(await appendTo(store, open, entries, 4n)).toEqual({
    kind: 'refused',
    sqlState: '22021',
    detail: expect.not.stringContaining('a'.repeat(50)),
  })
  expect(await rowsOf('events', open.log.logId, '"offset"')).toEqual([])
  const unstorable = recordEntry({ offset: 3n }, { kind: 'rejected', code: 'UNSTORABLE', detail: 'refused' })
  expect(await appendTo(store, open, [...eventEntries(0n, 3n), unstorable], 4n)).toMatchObject({ events: 3 })
})

test('a row that stands at an offset not yet taken is damage, not data to dead-letter', async () => {
  const { store } = fixture
  const open = await openLog(store)
  await store.writer.ensurePartitions()
  await withClient(fixture.database.adminUrl, (client) =>
    client.query(
      `insert into events values (1, 0, 0, 0, now(), $1, gen_random_uuid(), 't', 's', null, 'SECRET', '{}', null, '', '', '', '')`,
      [open.log.logId],
    ),
  )
  await expect(appendTo(store, open, eventEntries(0n, 3n), 3n)).rejects.toMatchObject({ code: 'LOG_DAMAGED' })
})

test('opening a log twice at once gives one log', async () => {
  const { store } = fixture
  const identity = { topic: 'raced', partition: 0, topicId: '11111111-1111-4111-8111-111111111111' }
  const other = { ...identity, topicId: '22222222-2222-4222-8222-222222222222' }
  const logs = await Promise.all(
    Array.from({ length: 8 }, (_, i) => store.writer.openLog(i % 2 === 0 ? identity : other, offset(7n), 2)),
  )
  expect(new Set(logs.map((log) => log.logId)).size).toBe(1)
  expect(new Set(logs.map((log) => log.identity.topicId)).size).toBe(1)
  expect(logs[0]).toMatchObject({ startOffset: 7n, leaderEpoch: 2, position: { nextOffset: 7n, size: 0n } })
})

test('an older incarnation takes nothing more', async () => {
  const { store } = fixture
  const open = await openLog(store)
  const newer = '33333333-3333-4333-8333-333333333333'
  await withClient(fixture.database.adminUrl, (client) =>
    client.query(
      'insert into partition_logs (topic, partition, topic_id, leader_epoch, start_offset) values ($1, 0, $2, 0, 0)',
      [open.log.identity.topic, newer],
    ),
  )
  const newest = await store.writer.findLog(open.log.identity.topic, 0)
  expect(newest).toMatchObject({ identity: { topicId: newer }, incarnation: 2 })
  expect(await appendTo(store, open, eventEntries(0n, 1n), 1n)).toEqual({
    kind: 'superseded',
    logId: newest?.logId,
  })
})

test('a request that does not add up is refused before it reaches the database', async () => {
  const { store } = fixture
  const open = await openLog(store)
  const request = requestFor(open.log, open.position, eventEntries(0n, 3n), 3n)
  await expect(store.writer.prepare({ ...request, entries: request.entries.slice(1) })).rejects.toThrow(
    RangeError,
  )
})
