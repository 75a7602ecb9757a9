import { randomUUID } from 'node:crypto'
import type { Client } from 'pg'
import { expect, test } from 'vitest'
import { offset } from '../../src/domain/model.ts'
import { withClient } from '../support/database.ts'
import { appendOnlyTables, changesOf, mutableTables, undoingsOf } from './appendOnlyTables.ts'
import { eventEntries, gapEntry, recordEntry } from './entries.ts'
import { appendTo, openLog, useStore } from './fixture.ts'

const fixture = useStore('append_only')

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

const APPEND_ONLY = {
  code: '55000',
  message: expect.stringContaining('is refused: the table is append-only'),
}

/** Each statement on its own, in one transaction that is rolled back: what it fails with, null when it succeeds. */
async function refusals(
  client: Client,
  statements: readonly string[],
): Promise<readonly { readonly statement: string; readonly code: string; readonly message: string }[]> {
  const failures = []
  for (const statement of statements) {
    await client.query('savepoint before')
    const { code, message } = await client.query(statement).then(
      () => ({ code: 'none', message: 'it was done' }),
      (error: { readonly code: string; readonly message: string }) => error,
    )
    await client.query('rollback to before')
    failures.push({ statement, code, message })
  }
  return failures
}

/** As somebody who owns every table of the schema and is no superuser; nothing of it is left behind. */
async function asOwner(work: (client: Client) => Promise<void>): Promise<void> {
  await withClient(fixture.database.adminUrl, async (client) => {
    const role = `owner_${fixture.database.name}`
    await client.query('begin')
    await client.query(`create role ${role}`)
    await client.query(`grant create on schema public to ${role}`)
    const { rows } = await client.query<{ name: string }>(
      `select c.relname as name from pg_class c where relnamespace = 'public'::regnamespace and relkind in ('r', 'p')`,
    )
    for (const { name } of rows) await client.query(`alter table ${name} owner to ${role}`)
    await client.query(`grant execute on function reject_change() to ${role}`)
    await client.query(`set local role ${role}`)
    await work(client)
    await client.query('rollback')
  })
}

test('the tables that are append-only are all but those that say why not', async () => {
  await withClient(fixture.database.adminUrl, async (client) => {
    await client.query('select create_events_partition(current_date + day) from generate_series(30, 31) day')
    const tables = await appendOnlyTables(client)
    const names = tables.map(({ name }) => name)
    expect(names).toEqual(expect.arrayContaining(['events', 'dead_letters', 'gaps', 'operator_actions']))
    expect(tables.filter(({ isPartition }) => isPartition).length).toBeGreaterThanOrEqual(2)
    for (const name of Object.keys(mutableTables))
      expect((await client.query('select to_regclass($1) as found', [name])).rows[0].found).toBe(name)
  })
})

test('the application may add to append-only tables and nothing else', async () => {
  await aLogWithEverything()
  const tables = await withClient(fixture.database.adminUrl, appendOnlyTables)
  await withClient(fixture.database.appUrl, async (client) => {
    await client.query('begin')
    for (const table of tables) {
      const tried = await refusals(client, [...changesOf(table), ...undoingsOf(table)])
      expect(tried.filter(({ code }) => code !== '42501')).toEqual([])
    }
    const partitions = tables.filter(({ isPartition }) => isPartition)
    expect(partitions.length).toBeGreaterThan(0)
    for (const { name } of partitions) {
      const tried = await refusals(client, [
        `copy ${name} from stdin`,
        `insert into ${name} select * from events where false`,
        `select from ${name}`,
        `alter table events detach partition ${name}`,
      ])
      expect(tried.filter(({ code }) => code !== '42501')).toEqual([])
    }
    const tried = await refusals(client, [
      'set session_replication_role = replica',
      'create table public.mine (a int)',
      'select public.create_events_partition(current_date)',
      'create or replace function reject_change() returns trigger language plpgsql as $$ begin return null; end $$',
      'drop function reject_change() cascade',
      'insert into partition_logs (topic, partition, topic_id, leader_epoch, start_offset, size) values (1, 1, gen_random_uuid(), 0, 0, 5)',
      'update partition_logs set topic_id = gen_random_uuid()',
      'update replays set request = null',
      'update replay_logs set to_offset = 0',
      ...Object.keys(mutableTables).flatMap((name) => [
        `delete from ${name}`,
        `truncate ${name} cascade`,
        `merge into ${name} t using (select 1) s on false when matched then delete`,
        `alter table ${name} disable trigger all`,
      ]),
      'delete from drizzle.__drizzle_migrations',
      'alter role current_user createdb',
    ])
    expect(tried.filter(({ code }) => code !== '42501')).toEqual([])
    await client.query('rollback')
  })
})

test('the owner is refused too, on each table and each partition, and on statements that would touch nothing', async () => {
  await aLogWithEverything()
  const tables = await withClient(fixture.database.adminUrl, appendOnlyTables)
  await asOwner(async (client) => {
    for (const table of tables) {
      const tried = await refusals(client, changesOf(table))
      for (const { statement, ...refusal } of tried) expect(refusal, statement).toMatchObject(APPEND_ONLY)
    }
    const [refused] = await refusals(client, ['set session_replication_role = replica'])
    expect(refused?.code).toBe('42501')
  })
})

test('a superuser is refused as long as the triggers are there, as a replica too', async () => {
  await aLogWithEverything()
  const tables = await withClient(fixture.database.adminUrl, appendOnlyTables)
  for (const role of ['origin', 'replica', 'local'])
    await withClient(fixture.database.adminUrl, async (client) => {
      await client.query(`set session_replication_role = ${role}`)
      await client.query('begin')
      for (const table of tables) {
        const tried = await refusals(client, changesOf(table))
        for (const { statement, ...refusal } of tried)
          expect(refusal, `${role}: ${statement}`).toMatchObject(APPEND_ONLY)
      }
      await client.query('rollback')
    })
})

test('a detached partition still refuses changes, and again when it is back', async () => {
  await aLogWithEverything()
  const tables = await withClient(fixture.database.adminUrl, appendOnlyTables)
  const partitions = tables.filter(({ isPartition }) => isPartition)
  for (const role of ['origin', 'replica'])
    await withClient(fixture.database.adminUrl, async (client) => {
      await client.query(`set session_replication_role = ${role}`)
      await client.query('begin')
      for (const table of partitions) {
        const { rows } = await client.query<{ bounds: string }>(
          `select pg_get_expr(relpartbound, oid) as bounds from pg_class where oid = $1::regclass`,
          [table.name],
        )
        const refused = async () => {
          const tried = await refusals(client, changesOf(table))
          for (const { statement, ...refusal } of tried) expect(refusal, statement).toMatchObject(APPEND_ONLY)
        }
        await client.query(`alter table events detach partition ${table.name}`)
        await refused()
        await client.query(`alter table events attach partition ${table.name} ${rows[0]?.bounds}`)
        await refused()
      }
      await client.query('rollback')
    })
})

test('the plan of a replay stays as it is, and what it did only grows', async () => {
  const open = await aLogWithEverything()
  const planId = randomUUID()
  const plan = {
    replayId: planId,
    planId,
    planHash: 'x',
    request: { topic: 'events' },
    topic: 'events',
    targetTopic: 'target',
    targetTopicId: randomUUID(),
    filters: {},
    checkpointId: null,
    logs: [
      {
        logId: open.log.logId,
        partition: 0,
        from: offset(0n),
        to: offset(100n),
        planned: 100n,
        targetPartition: 0,
      },
    ],
  }
  const { replays } = fixture.store
  await replays.insertPlan(plan, 'ada')
  await replays.markStarted(planId, open.log.logId)
  await replays.mirrorProgress(planId, open.log.logId, offset(50n), 50n, null)
  for (const role of ['origin', 'replica'])
    await withClient(fixture.database.adminUrl, async (client) => {
      await client.query(`set session_replication_role = ${role}`)
      await client.query('begin')
      const ofPlan = [
        ...Object.keys(mutableTables).flatMap((name) => [
          `delete from ${name} where false`,
          `truncate ${name} cascade`,
          `merge into ${name} t using (select 1) s on false when matched then delete`,
        ]),
        ...[
          'plan_id = gen_random_uuid()',
          `replay_id = 'other'`,
          `request = '{}'`,
          `filters = '{"eventTypes":["x"]}'`,
          `target_topic = 'other'`,
          `created_at = now()`,
          `created_by = 'nobody'`,
        ].map((change) => `update replays set ${change}`),
        ...[
          'log_id = 0',
          'from_offset = 10',
          'to_offset = 60',
          'planned = 1',
          'target_partition = 7',
          'cursor = 49',
          'events = 49',
          'started = false',
        ].map((change) => `update replay_logs set ${change}`),
      ]
      const tried = await refusals(client, ofPlan)
      expect(tried.filter(({ code }) => code !== '55000')).toEqual([])
      await client.query('rollback')
    })
  const receipt = { events: 100n, logs: [] }
  await replays.setStatus(planId, 'completed', { receipt })
  await replays.setStatus(planId, 'completed', { receipt })
  await withClient(fixture.database.adminUrl, async (client) => {
    await client.query('begin')
    const tried = await refusals(client, [
      `update replays set status = 'running'`,
      `update replays set receipt = null`,
      `update replays set receipt = '{"events":"1","logs":[]}'`,
    ])
    expect(tried.filter(({ code }) => code !== '55000')).toEqual([])
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
