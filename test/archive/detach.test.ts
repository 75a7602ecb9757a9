/** A day leaves the log by its owner's hand alone, and only when archives hold all of it and no legal hold keeps it. */
import { afterEach, expect, it } from 'vitest'
import type { HoldScope } from '../../src/domain/archive/hold.ts'
import { leafIndex } from '../../src/domain/model.ts'
import type { ServiceError } from '../../src/errors.ts'
import { ageLog, appendTo, openLog } from '../store/fixture.ts'
import { withClient } from '../support/database.ts'
import { until } from '../support/platform.ts'
import { trueEvents } from '../verification/trueLog.ts'
import { verifyWhole } from '../verification/verifyWhole.ts'
import { AGE, day, table, useDays } from './detachFixture.ts'
import { recoverInto, rowsOf, useArchives } from './fixture.ts'

const { platform, makeFolder, archive, emptyDatabase } = useArchives('detach')
const { detach, attachAgain, dayOf, signedAt, oldLog } = useDays({ platform })

afterEach(async () => {
  for (const hold of (await platform.store.holds.listHolds()).filter(({ held }) => held))
    await platform.store.holds.putHold({ ...hold, reason: 'over' }, false, 'test')
})

const hold = (scope: HoldScope, subject: string, held = true) =>
  platform.store.holds.putHold({ scope, subject, reason: 'a case' }, held, 'ada')

it('not before verified archives hold every leaf of it', { timeout: 60_000 }, async () => {
  const open = await oldLog()
  const { topic } = open.log.identity
  const of = await dayOf(open)
  expect(await detach(of)).toBe(
    `NOT_ARCHIVED: no verified archive holds 300 events of ${topic}/0, incarnation 1, from offset 0 on, of the day ${of}`,
  )
  const folder = makeFolder()
  const part = { topic, partition: 0 }
  await archive(folder, { ...part, toLeaf: '299' })
  expect(await detach(of)).toMatch(/^NOT_ARCHIVED: no verified archive holds 1 events .* from offset 299 on/)
  await archive(folder, { ...part, fromLeaf: '299' })
  const before = await rowsOf(platform.database.adminUrl, topic)

  // What does not allow it.
  expect(await detach(of, { url: platform.database.appUrl })).toMatch(/^FORBIDDEN/)
  expect(await detach(day(0))).toMatch(/^BAD_REQUEST: the day .* is too young/)
  expect(await detach(day(2))).toMatch(/too young/)
  expect(await detach('2020-01-01')).toMatch(/^BAD_REQUEST: there is no partition/)
  for (const [bad, reason] of [
    ['2026-02-30', 'x'],
    ['yesterday', 'x'],
    [of, ' '],
  ] as const)
    expect(await detach(bad, { reason })).toMatch(/^BAD_REQUEST/)
  await hold('topic', topic)
  expect(await detach(of)).toBe(`HELD: a legal hold on the topic ${topic} keeps the day ${of}`)
  await hold('topic', topic, false)
  await hold('tenant', 'tenant-3')
  await hold('tenant', 'nobody')
  await hold('topic', 'another')
  expect(await detach(of)).toBe(`HELD: a legal hold on the tenant tenant-3 keeps the day ${of}`)
  await hold('tenant', 'tenant-3', false)

  expect(await detach(of)).toBe('300')
  const { rows } = await withClient(platform.database.adminUrl, (client) =>
    client.query('select day::text, name, rows, reason from detached_partitions'),
  )
  expect(rows).toEqual([{ day: of, name: table(of), rows: '300', reason: 'archived' }])
  // The table still stands, and is verified; the archives give the whole log, today's part included.
  expect((await verifyWhole(platform.store, open)).findings.counts).toEqual({})
  const database = await emptyDatabase()
  await recoverInto(database, folder)
  expect(await rowsOf(database.adminUrl, topic)).toEqual(before)
  // The table is still there, with its guards, and can come back.
  await attachAgain(of)
  expect((await verifyWhole(platform.store, open)).findings.counts).toEqual({})
})

it('not while the next root needs its leaves', { timeout: 60_000 }, async () => {
  const open = await openLog(platform.store)
  await appendTo(platform.store, open, trueEvents(0n, 300n), 300n)
  await ageLog(platform, open, AGE)
  await appendTo(platform.store, open, trueEvents(300n, 400n), 400n)
  const { topic } = open.log.identity
  const folder = makeFolder()
  await archive(folder, { topic })
  const of = await dayOf(open)
  const refused = new RegExp(`^DAY_NEEDED: the root of ${topic}/0 needs leaves of the day ${of}`)
  expect(await detach(of)).toMatch(refused)
  // The log's end is far enough now, its largest signed checkpoint is not.
  await appendTo(platform.store, open, trueEvents(400n, 700n), 700n)
  await signedAt(open, 400n)
  expect(await detach(of)).toMatch(refused)
  await signedAt(open, 700n)
  expect(await detach(of)).toMatch(/^\d+$/)
  // Roots go on.
  await appendTo(platform.store, open, trueEvents(700n, 710n), 710n)
  const { logId } = open.log
  for (const size of [700n, 710n])
    expect(await platform.store.reader.rootAt(logId, leafIndex(size))).toHaveLength(32)
  await attachAgain(of)
})

it('a hold that is being set wins, and ingest goes on while a day is looked at', {
  timeout: 60_000,
}, async () => {
  const open = await oldLog()
  const { topic } = open.log.identity
  await archive(makeFolder(), { topic })
  const of = await dayOf(open)
  await withClient(platform.database.adminUrl, async (client) => {
    await client.query('begin')
    await client.query(
      `insert into legal_holds (scope, subject, held, reason, created_by) values ('topic', $1, true, 'a case', 'ada')`,
      [topic],
    )
    const waiting = detach(of)
    await until(
      async () =>
        (await client.query(`select from pg_locks where not granted and relation = 'legal_holds'::regclass`))
          .rowCount,
      10_000,
      () => 'nobody waits',
    )
    expect((await appendTo(platform.store, open, trueEvents(700n, 800n), 800n)).kind).toBe('appended')
    await client.query('commit')
    expect(await waiting).toBe(`HELD: a legal hold on the topic ${topic} keeps the day ${of}`)
  })
})

it('a subject is held once at a time, and every word on it stays', async () => {
  const codeOf = (work: Promise<unknown>) =>
    work.then(
      () => 'done',
      (error: ServiceError) => error.code,
    )
  expect(await codeOf(hold('topic', 'orders', false))).toBe('HOLD_UNCHANGED')
  expect(await codeOf(hold('topic', 'orders'))).toBe('done')
  expect(await codeOf(hold('topic', 'orders'))).toBe('HOLD_UNCHANGED')
  expect(await platform.store.holds.listHolds()).toContainEqual(
    expect.objectContaining({ scope: 'topic', subject: 'orders', held: true, reason: 'a case', by: 'ada' }),
  )
  await hold('topic', 'orders', false)
  const { rows } = await withClient(platform.database.adminUrl, (client) =>
    client.query("select held from legal_holds where subject = 'orders' order by sequence"),
  )
  expect(rows.map(({ held }) => held)).toEqual([true, false])
})
