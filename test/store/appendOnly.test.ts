import { expect, test } from 'vitest'
import { withClient } from '../support/database.ts'
import { eventEntries, gapEntry, recordEntry } from './entries.ts'
import { appendTo, openLog, useStore } from './fixture.ts'

const fixture = useStore('append_only')

const appendOnly = [
  'events',
  'dead_letters',
  'gaps',
  'log_nodes',
  'checkpoints',
  'checkpoint_positions',
  'signing_keys',
  'producer_keys',
  'signature_policies',
  'operator_actions',
]

/** SQLSTATE of what the statement fails with, null when it succeeds. */
const stateOf = (url: string, ...statements: string[]): Promise<string | null> =>
  withClient(url, async (client) => {
    try {
      for (const statement of statements) await client.query(statement)
      return null
    } catch (error) {
      return (error as { code: string }).code
    }
  })

async function aLogWithEverything() {
  const open = await openLog(fixture.store)
  const letter = recordEntry({ offset: 300n }, { kind: 'rejected', code: 'SCHEMA', detail: 'no' })
  await appendTo(fixture.store, open, [...eventEntries(0n, 300n), letter, gapEntry(301n, 310n)], 310n)
  return open
}

const partitionOf = () =>
  withClient(fixture.database.adminUrl, async (client) => {
    const { rows } = await client.query('select inhrelid::regclass::text as name from pg_inherits limit 1')
    return String(rows[0].name)
  })

test('the application may add to append-only tables and nothing else', async () => {
  await aLogWithEverything()
  for (const table of [...appendOnly, await partitionOf()]) {
    const column = await firstColumn(table)
    for (const statement of [
      `update ${table} set ${column} = ${column} where false`,
      `delete from ${table} where false`,
      `truncate ${table}`,
      `drop table ${table}`,
      `alter table ${table} disable trigger all`,
      `create trigger t before insert on ${table} for each row execute function suppress_redundant_updates_trigger()`,
    ])
      expect(await stateOf(fixture.database.appUrl, statement), statement).toBe('42501')
  }
  for (const statement of [
    'set session_replication_role = replica',
    'create table public.mine (a int)',
    'select public.create_events_partition(current_date)',
    'insert into partition_logs (topic, partition, topic_id, leader_epoch, start_offset, size) values (1, 1, gen_random_uuid(), 0, 0, 5)',
    'update partition_logs set topic_id = gen_random_uuid()',
    'update replays set request = null',
    'delete from partition_logs',
    'delete from drizzle.__drizzle_migrations',
    `alter role current_user createdb`,
  ])
    expect(await stateOf(fixture.database.appUrl, statement), statement).toBe('42501')
})

test('the owner is refused too, on the table and on each partition, and on statements that would touch nothing', async () => {
  await aLogWithEverything()
  for (const table of [...appendOnly, await partitionOf()]) {
    const column = await firstColumn(table)
    for (const statement of [
      `update ${table} set ${column} = ${column} where false`,
      `delete from ${table} where false`,
      `truncate ${table} cascade`,
    ]) {
      expect(await stateOf(fixture.database.adminUrl, statement), statement).toBe('55000')
      expect(
        await stateOf(fixture.database.adminUrl, 'set session_replication_role = replica', statement),
        `as a replica: ${statement}`,
      ).toBe('55000')
    }
  }
})

const firstColumn = (table: string) =>
  withClient(fixture.database.adminUrl, async (client) => {
    const { rows } = await client.query(
      `select quote_ident(attname) as name from pg_attribute
        where attrelid = $1::regclass and attnum > 0 and attidentity = '' order by attnum limit 1`,
      [table],
    )
    return String(rows[0].name)
  })

test('a detached partition still refuses changes', async () => {
  await aLogWithEverything()
  const partition = await partitionOf()
  await withClient(fixture.database.adminUrl, async (client) => {
    await client.query('begin')
    await client.query(`alter table events detach partition ${partition}`)
    for (const statement of [
      `update ${partition} set type = 'x'`,
      `delete from ${partition}`,
      `truncate ${partition}`,
    ]) {
      await client.query('savepoint before')
      await expect(client.query(statement)).rejects.toMatchObject({ code: '55000' })
      await client.query('rollback to before')
    }
    await client.query('rollback')
  })
})

test('a log only grows', async () => {
  const open = await aLogWithEverything()
  const id = open.log.logId
  for (const change of [
    'next_offset = next_offset - 1',
    "size = 0, frontier = ''",
    'bytes = bytes - 1',
    'leader_epoch = -1',
    "last_ingested_at = last_ingested_at - interval '1 ms'",
    'last_ingested_at = null',
    "frontier = decode(repeat('00', octet_length(frontier)), 'hex')",
    'size = size + 1',
  ]) {
    const state = await stateOf(
      fixture.database.appUrl,
      `update partition_logs set ${change} where id = ${id}`,
    )
    expect(state, change).toMatch(/^(55000|23514)$/)
  }
  for (const statement of ['delete from partition_logs where false', 'truncate partition_logs cascade'])
    expect(await stateOf(fixture.database.adminUrl, statement)).toBe('55000')
  expect(
    await stateOf(fixture.database.adminUrl, `update partition_logs set topic = 'other' where id = ${id}`),
  ).toBe('55000')
})

test('a new log begins empty, whatever the owner says', async () => {
  const { rows } = await withClient(fixture.database.adminUrl, (client) =>
    client.query(
      `insert into partition_logs (topic, partition, topic_id, incarnation, leader_epoch, start_offset, next_offset,
         size, bytes, frontier, last_ingested_at, created_at)
       values ('forged', 0, gen_random_uuid(), 9, 0, 5, 99, 3, 3, '\\x00', now(), '2000-01-01') returning *`,
    ),
  )
  expect(rows[0]).toMatchObject({
    incarnation: 1,
    next_offset: '5',
    size: '0',
    bytes: '0',
    last_ingested_at: null,
  })
})
