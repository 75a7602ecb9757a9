import { afterAll, beforeAll } from 'vitest'
import { type LogEntry, type LogPosition, offset } from '../../src/domain/model.ts'
import type { AppendOutcome, LogState } from '../../src/ports.ts'
import { createDatabase, type Database } from '../../src/store/database.ts'
import { createStore, type Store } from '../../src/store/store.ts'
import type { WriterOptions } from '../../src/store/writer.ts'
import { createTestDatabase, type TestDatabase, withClient } from '../support/database.ts'
import { randomIdentity, requestFor } from './entries.ts'

export interface Fixture {
  database: TestDatabase
  connections: Database
  store: Store
}

/** A database of this test file's own, and a store on it as the application's role. */
export function useStore(name: string, options: WriterOptions = {}): Fixture {
  const fixture = {} as Fixture
  beforeAll(async () => {
    fixture.database = await createTestDatabase(`store_${name}`)
    fixture.connections = createDatabase({ url: fixture.database.appUrl })
    fixture.store = createStore(fixture.connections, options)
  })
  afterAll(async () => {
    await fixture.connections?.close()
    await fixture.database?.drop()
  })
  return fixture
}

export interface OpenLog {
  readonly log: LogState
  position: LogPosition
}

export async function openLog(store: Store, start = 0n, partition = 0): Promise<OpenLog> {
  const log = await store.writer.openLog(randomIdentity(partition), offset(start), 0)
  return { log, position: log.position }
}

/** Appends behind what the log holds and moves `position` when that worked. */
export async function appendTo(
  store: Store,
  open: OpenLog,
  entries: readonly LogEntry[],
  nextOffset: bigint,
): Promise<AppendOutcome> {
  const request = requestFor(open.log, open.position, entries, nextOffset)
  const outcome = await store.writer.append(
    await store.writer.prepare(request),
    async () => open.log.identity.topicId,
  )
  if (outcome.kind === 'appended') open.position = request.next
  return outcome
}

/** Moves everything that the log holds back in time, as if it had been ingested `days` earlier. */
export async function ageLog(fixture: Fixture, open: OpenLog, days: number): Promise<void> {
  await withClient(fixture.database.adminUrl, async (client) => {
    const id = open.log.logId
    const rows = await client.query<{ name: string }>(
      `select create_events_partition(day), inhrelid::regclass::text as name
         from (select distinct (ingested_at at time zone 'UTC')::date - $2::int as day, tableoid as inhrelid
                 from events where log_id = $1) days`,
      [id, days],
    )
    await client.query('create temp table moved as select * from events where log_id = $1', [id])
    for (const { name } of rows.rows) {
      await client.query(`alter table ${name} disable trigger user`)
      await client.query(`delete from ${name} where log_id = $1`, [id])
      await client.query(`alter table ${name} enable trigger user`)
    }
    await client.query("update moved set ingested_at = ingested_at - $1 * interval '1 day'", [days])
    await client.query('insert into events select * from moved')
    for (const name of ['dead_letters', 'gaps']) {
      await client.query(`alter table ${name} disable trigger user`)
      await client.query(
        `update ${name} set ingested_at = ingested_at - $2 * interval '1 day' where log_id = $1`,
        [id, days],
      )
      await client.query(`alter table ${name} enable always trigger reject_change`)
    }
    await client.query(
      'alter table log_nodes disable trigger user; alter table partition_logs disable trigger user',
    )
    await client.query(
      `update log_nodes set ingested_at = ingested_at - $2 * interval '1 day' where log_id = $1`,
      [id, days],
    )
    await client.query(
      `update partition_logs set last_ingested_at = last_ingested_at - $2 * interval '1 day',
              created_at = created_at - $2 * interval '1 day' where id = $1`,
      [id, days],
    )
    await client.query('alter table log_nodes enable always trigger reject_change')
    await client.query('alter table partition_logs enable trigger user')
  })
}
