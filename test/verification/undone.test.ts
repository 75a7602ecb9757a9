/**
 * What an owner or a superuser can undo all the same, and how it is found: by verifying the log, or, where everything in
 * the database was made to agree again, by comparing it with a note that was kept elsewhere. The README's table of
 * guarantees says the same.
 */
import { randomUUID } from 'node:crypto'
import type { Client } from 'pg'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { storeCheckpoint } from '../../activities/storeCheckpoint.ts'
import { auditNotes, type HeldNote } from '../../src/evidence/auditNotes.ts'
import { createDatabase, type Database } from '../../src/store/database.ts'
import { createStore, type Store } from '../../src/store/store.ts'
import { testKey } from '../domain/evidence/keys.ts'
import { appendTo, type OpenLog } from '../store/fixture.ts'
import { createTestDatabase, type TestDatabase, withClient } from '../support/database.ts'
import { eventValue, trueEntry, trueEvents, withoutGuards } from './trueLog.ts'
import { logOf, verifyWhole } from './verifyWhole.ts'

const key = testKey('example.com/ingest', 1)

let database: TestDatabase
let connections: Database
let store: Store
/** 600 events, a checkpoint over them, and the note of it, which somebody keeps elsewhere. */
let open: OpenLog
let kept: string

beforeEach(async () => {
  database = await createTestDatabase('undone')
  connections = createDatabase({ url: database.appUrl })
  store = createStore(connections)
  open = await logOf(store, trueEvents(0n, 600n), 600n)
  kept = await checkpoint()
})
afterEach(async () => {
  await connections.close()
  await database.drop()
})

async function checkpoint(): Promise<string> {
  const { reader: log, checkpoints, signingKeys } = store
  const { topic } = open.log.identity
  const { id } = await storeCheckpoint(
    {
      log,
      checkpoints,
      signingKeys,
      signing: { keys: [key], overlapMs: 0 },
      checkpointStored: () => undefined,
    },
    { checkpointId: randomUUID(), request: { topic }, requestedBy: 'ada' },
  )
  return (await checkpoints.getCheckpoint(id))?.positions[0]?.note ?? ''
}

/** What whoever kept the note finds when he audits the database, believing the hashes that it stores. */
async function audited(): Promise<readonly string[]> {
  async function* held(): AsyncGenerator<HeldNote> {
    yield { where: 'kept', bytes: Buffer.from(kept), isNote: true }
  }
  const { reader, queries: logs, notes, signingKeys } = store
  const { verdict, findings } = await auditNotes(
    { reader, logs, notes, signingKeys, derive: async () => ({ damage: null, detached: 0n }), held: null },
    held(),
    { keys: [key.verifierKey], quick: true, onProgress: () => undefined },
  )
  expect(verdict).toBe(findings.length === 0 ? 'intact' : 'damaged')
  return findings.map(({ kind }) => kind)
}

const verify = async (): Promise<Record<string, string>> =>
  (await verifyWhole(store, open)).findings.counts as Record<string, string>

/** As the superuser, who owns everything too. */
const undo = (work: (client: Client, partition: string) => Promise<unknown>): Promise<void> =>
  withClient(database.adminUrl, async (client) => {
    const { rows } = await client.query<{ name: string }>(
      'select distinct tableoid::regclass::text as name from events',
    )
    await work(client, rows[0]?.name ?? '')
  })

it('untouched, the log verifies, and agrees with the note', async () => {
  expect([await verify(), await audited()]).toEqual([{}, []])
})

describe('verification of the log finds', () => {
  it('rows altered while the triggers were off', async () => {
    await undo(async (client, partition) => {
      await client.query(`alter table ${partition} disable trigger all`)
      await client.query(`update ${partition} set value = '{}' where "offset" = 300`)
      await client.query(
        `alter table ${partition} enable always trigger reject_change, enable always trigger reject_row_change`,
      )
    })
    expect(await verify()).toEqual({ 'altered-bytes': '1' })
  })

  it('rows deleted while the function of the triggers did nothing', async () => {
    await undo(async (client) => {
      await client.query(
        `create or replace function reject_change() returns trigger language plpgsql as $$ begin return coalesce(new, old); end $$`,
      )
      expect((await client.query('delete from events where "offset" = 300')).rowCount).toBe(1)
    })
    expect(await verify()).toEqual({ missing: '1' })
  })

  it('a column rewritten by ALTER TABLE, which no trigger sees', async () => {
    await undo((client) => client.query(`alter table events alter column source type text using 'forged'`))
    expect(await verify()).toEqual({ 'altered-column': '600' })
  })

  it('a trigger of the owner that alters what ingest appends', async () => {
    await undo(async (client) => {
      await client.query(
        `create function forge() returns trigger language plpgsql as $$ begin new.value := '{}'; return new; end $$`,
      )
      await client.query('create trigger forge before insert on events for each row execute function forge()')
    })
    await appendTo(store, open, trueEvents(600n, 610n), 610n)
    expect(await verify()).toEqual({ 'altered-bytes': '10' })
  })

  it('rows that were put in beside ingest, by the application too', async () => {
    const columns = `leaf_index, event_time, kafka_timestamp, ingested_at, log_id, gen_random_uuid(), type, source, tenant_id,
      classification, policy_tags, key, value, headers, content_hash, leaf_hash`
    const add = `insert into events select 1000 + "offset", ${columns} from events where "offset" = 300`
    await withClient(database.appUrl, (client) => client.query(add))
    await undo((client, partition) =>
      client.query(add.replace('into events', `into ${partition}`).replace('1000', '2000')),
    )
    expect(await verify()).toEqual({ inserted: '2' })
  })

  it('a detached partition, until it is back; and one that was dropped', async () => {
    await undo(async (client, partition) => {
      const { rows } = await client.query<{ bounds: string }>(
        'select pg_get_expr(relpartbound, oid) as bounds from pg_class where oid = $1::regclass',
        [partition],
      )
      await client.query(`alter table events detach partition ${partition}`)
      expect(await verify()).toEqual({ missing: '600' })
      await client.query(`alter table events attach partition ${partition} ${rows[0]?.bounds}`)
      expect(await verify()).toEqual({})
      await client.query(`drop table ${partition}`)
    })
    expect(await verify()).toEqual({ missing: '600' })
    expect(await audited()).toEqual(['log-damaged'])
  })

  it('a truncated table of dead letters, of gaps, of nodes', async () => {
    await undo((client) =>
      withoutGuards(client, () => client.query('truncate dead_letters, gaps, log_nodes')),
    )
    expect(await verify()).toEqual({ node: '2' })
  })
})

describe('what was made to agree with itself again is found by the note that was kept', () => {
  /** Everything that the database says of the log, as if it had always been that of `other`; no checkpoint stays. */
  const replaceBy = (other: OpenLog): Promise<void> =>
    undo((superuser) =>
      withoutGuards(superuser, async (client) => {
        const ids = [open.log.logId, other.log.logId]
        await client.query('delete from checkpoint_positions where log_id = $1', [ids[0]])
        await client.query('delete from checkpoints')
        for (const table of ['events', 'log_nodes']) {
          await client.query(`delete from ${table} where log_id = $1`, [ids[0]])
          await client.query(`create temp table copy as select * from ${table} where log_id = $1`, [ids[1]])
          await client.query('update copy set log_id = $1', [ids[0]])
          await client.query(`insert into ${table} select * from copy`)
          await client.query('drop table copy')
        }
        await client.query(
          `update partition_logs l set next_offset = o.next_offset, size = o.size, bytes = o.bytes, frontier = o.frontier,
                  last_ingested_at = o.last_ingested_at from partition_logs o where l.id = $1 and o.id = $2`,
          ids,
        )
      }),
    )

  it('a history that was rewritten whole', async () => {
    const forged = trueEntry({ offset: 300n, value: eventValue(300n, { type: 'forged' }) })
    await replaceBy(await logOf(store, trueEvents(0n, 600n).with(300, forged), 600n))
    expect([await verify(), await audited()]).toEqual([{}, ['rewritten', 'checkpoint-missing']])
  })

  it('a history whose end was cut off', async () => {
    await replaceBy(await logOf(store, trueEvents(0n, 500n), 500n))
    expect([await verify(), await audited()]).toEqual([{}, ['truncated', 'checkpoint-missing']])
  })

  it('a log that is gone with all that was said of it', async () => {
    await undo((superuser) =>
      withoutGuards(superuser, async (client) => {
        for (const table of ['checkpoint_positions', 'checkpoints', 'events', 'log_nodes', 'partition_logs'])
          await client.query(`delete from ${table}`)
      }),
    )
    expect(await audited()).toEqual(['log-missing'])
  })

  it('as long as a checkpoint is left in the database, verification finds it without the note', async () => {
    const other = await logOf(store, trueEvents(0n, 500n), 500n)
    await undo((superuser) =>
      withoutGuards(superuser, async (client) => {
        await client.query('delete from events where log_id = $1 and "offset" >= 500', [open.log.logId])
        await client.query(
          `update partition_logs l set next_offset = o.next_offset, size = o.size, bytes = o.bytes, frontier = o.frontier,
                  last_ingested_at = o.last_ingested_at from partition_logs o where l.id = $1 and o.id = $2`,
          [open.log.logId, other.log.logId],
        )
        await client.query('delete from log_nodes where log_id = $1 and index > 0', [open.log.logId])
      }),
    )
    expect(await verify()).toMatchObject({ checkpoint: '1' })
  })
})
