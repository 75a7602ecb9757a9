import { expect, test } from 'vitest'
import { withClient } from '../support/database.ts'
import { useOneDay } from '../support/midnight.ts'
import { eventEntries } from './entries.ts'
import { appendTo, openLog, useStore } from './fixture.ts'

useOneDay()

const fixture = useStore('partitions')

const partitions = () =>
  withClient(fixture.database.adminUrl, async (client) => {
    const { rows } = await client.query(
      `select inhrelid::regclass::text as name from pg_inherits where inhparent = 'events'::regclass order by 1`,
    )
    return rows.map((row) => String(row.name))
  })

const nameOf = (days: number): string =>
  `events_${new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 10).replaceAll('-', '')}`

test('an append makes the partition that it needs', async () => {
  const open = await openLog(fixture.store)
  expect(await partitions()).toEqual([])
  expect(await appendTo(fixture.store, open, eventEntries(0n, 3n), 3n)).toMatchObject({ events: 3 })
  expect(await partitions()).toContain(nameOf(0))
})

test('partitions of today and tomorrow are made once, however many ask', async () => {
  const { writer } = fixture.store
  await Promise.all(Array.from({ length: 6 }, () => writer.ensurePartitions()))
  await writer.ensurePartitions()
  expect(await partitions()).toEqual([nameOf(0), nameOf(1)])
})

test('the application may ask for days next to today only', async () => {
  await withClient(fixture.database.appUrl, async (client) => {
    const day = "(clock_timestamp() at time zone 'UTC')::date"
    await client.query(`select ensure_partition(${day} - 2), ensure_partition(${day} + 2)`)
    for (const days of ['- 3', '+ 3', '+ 100000'])
      await expect(client.query(`select ensure_partition(${day} ${days})`)).rejects.toMatchObject({
        code: '55000',
      })
    await expect(client.query('select ensure_partition(null)')).rejects.toMatchObject({ code: '55000' })
  })
  expect(await partitions()).toContain(nameOf(2))
})

test('a partition is made while an append is under way, and neither waits for the other', async () => {
  await withClient(fixture.database.adminUrl, async (writing) => {
    await writing.query('begin')
    await writing.query(
      `insert into events values (1, 0, 0, 0, now(), 999, gen_random_uuid(), 't', 's', null, 'SECRET', '{}', null, '', '', '', '')`,
    )
    await withClient(fixture.database.adminUrl, async (making) => {
      await making.query(`set lock_timeout = '2s'`)
      await making.query(`select create_events_partition(current_date + 300)`)
    })
    await writing.query('rollback')
  })
})
