import { expect, test } from 'vitest'
import { createStore } from '../../src/store/store.ts'
import { withClient } from '../support/database.ts'
import { eventEntries } from './entries.ts'
import { appendTo, openLog, useStore } from './fixture.ts'

const fixture = useStore('clock')
const HOUR_MS = 3_600_000

/** As if the clock had stood `ms` ahead when the log was last appended to. */
const setLast = (logId: number, ms: number) =>
  withClient(fixture.database.adminUrl, (client) =>
    client.query(`update partition_logs set last_ingested_at = $2 where id = $1`, [
      logId,
      new Date(Date.now() + ms),
    ]),
  )

test('ingestion time never decreases when the clock goes back a little', async () => {
  const { store } = fixture
  const open = await openLog(store)
  await setLast(open.log.logId, HOUR_MS / 2)
  const last = (await store.reader.logById(open.log.logId))?.lastIngestedAt
  const outcome = await appendTo(store, open, eventEntries(0n, 3n), 3n)
  expect(outcome.kind === 'appended' && outcome.ingestedAt).toEqual(last)
})

test('a clock that went back by more than an hour stops the log', async () => {
  const { store } = fixture
  const open = await openLog(store)
  await setLast(open.log.logId, HOUR_MS + 60_000)
  await expect(appendTo(store, open, eventEntries(0n, 3n), 3n)).rejects.toMatchObject({ code: 'CLOCK_LEAP' })
  expect((await store.reader.logById(open.log.logId))?.position).toEqual(open.position)
})

test('a database clock more than an hour from ours stops the log', async () => {
  for (const leap of [-1.1, 1.1]) {
    const store = createStore(fixture.connections, { now: () => Date.now() + leap * HOUR_MS })
    const open = await openLog(store)
    await expect(appendTo(store, open, eventEntries(0n, 3n), 3n)).rejects.toMatchObject({
      code: 'CLOCK_LEAP',
    })
  }
})

test('a log that lay idle for days is no leap', async () => {
  const { store } = fixture
  const open = await openLog(store)
  await appendTo(store, open, eventEntries(0n, 3n), 3n)
  await withClient(fixture.database.adminUrl, async (client) => {
    await client.query('alter table partition_logs disable trigger grow_log')
    await client.query(
      `update partition_logs set last_ingested_at = now() - interval '9 days', created_at = now() - interval '10 days'
        where id = $1`,
      [open.log.logId],
    )
    await client.query('alter table partition_logs enable always trigger grow_log')
  })
  expect(await appendTo(store, open, eventEntries(3n, 5n), 5n)).toMatchObject({ kind: 'appended' })
})
