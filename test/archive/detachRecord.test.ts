/** What is written down of a day that goes away, and what may not slip in between the look and the deed. */
import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Client } from 'pg'
import { expect, it } from 'vitest'
import { appendTo, type OpenLog } from '../store/fixture.ts'
import { withClient } from '../support/database.ts'
import { until } from '../support/platform.ts'
import { motley, trueEvents, withoutGuards } from '../verification/trueLog.ts'
import { AGE, table, useDays } from './detachFixture.ts'
import { useArchives } from './fixture.ts'

const archives = useArchives('detach_record')
const { platform, makeFolder, archive } = archives
const { detach, attachAgain, dayOf, drop, signedAt, oldLog } = useDays(archives)

const asOwner = <T>(work: (client: Client) => Promise<T>): Promise<T> =>
  withClient(platform.database.adminUrl, work)

/** The leaves that a record names, and those whose hashes it has: as the log's own rows have them. */
async function recorded({ log: { logId } }: OpenLog) {
  return await asOwner(async (client) => {
    const one = async (text: string): Promise<readonly Record<string, unknown>[]> =>
      (await client.query(text, [logId])).rows
    return {
      runs: await one(`select from_leaf, to_leaf, from_offset, to_offset, archives from detached_leaves
                        where log_id = $1 and detachment = (select max(sequence) from detached_partitions) order by from_leaf`),
      leaves: (
        await one(`select generate_series(from_leaf, to_leaf - 1) as leaf from detached_leaves where log_id = $1
                      and detachment = (select max(sequence) from detached_partitions) order by 1`)
      ).map(({ leaf }) => Number(leaf)),
      hashes:
        await one(`select from_leaf + i as leaf, encode(substring(hashes from (32 * i + 1)::int for 32), 'hex') as hash
         from detached_hashes, generate_series(0, octet_length(hashes) / 32 - 1) i where log_id = $1
          and detachment = (select max(sequence) from detached_partitions) order by 1`),
    }
  })
}

const rowsIn = (of: string, { log: { logId } }: OpenLog) =>
  asOwner(async (client) => {
    const { rows } = await client.query<{ leaf: string; hash: string }>(
      `select leaf_index as leaf, encode(leaf_hash, 'hex') as hash from ${table(of)} where log_id = $1 order by 1`,
      [logId],
    )
    return rows
  })

const waitsFor = (client: Client, relation: string) =>
  until(
    async () =>
      (await client.query('select from pg_locks where not granted and relation = $1::regclass', [relation]))
        .rowCount,
    10_000,
    () => 'nobody waits',
  )

it('exactly the leaves of the day, the archives that hold them, and hashes where no node has them', {
  timeout: 60_000,
}, async () => {
  const open = await oldLog(motley(0n, 1_000))
  const { topic } = open.log.identity
  const folder = makeFolder()
  const first = await archive(folder, { topic, partition: 0, toLeaf: '500' })
  const second = await archive(folder, { topic, partition: 0, fromLeaf: '400' })
  await signedAt(open, 300n)
  await signedAt(open, 1_400n)
  const of = await dayOf(open)
  const rows = await rowsIn(of, open)
  expect(await detach(of)).toBe(String(rows.length))
  const { runs, leaves, hashes } = await recorded(open)
  // Dead letters and gaps stay: many runs.
  expect(runs.length).toBeGreaterThan(20)
  expect(leaves).toEqual(rows.map(({ leaf }) => Number(leaf)))
  expect(runs[0]?.['archives']).toEqual([first.id])
  expect(runs.at(-1)?.['archives']).toEqual([second.id])
  expect(runs.find(({ from_leaf: from }) => Number(from) >= 400)?.['archives']).toEqual([first.id, second.id])
  // No block is made of the day's events alone.
  expect(hashes).toEqual(rows)
  // Once more, when it had come back.
  await attachAgain(of)
  expect(await detach(of)).toBe(String(rows.length))
  expect((await recorded(open)).leaves).toEqual(leaves)
  await drop(of)
})

it('a block that the day fills alone has its node, but where a checkpoint ends', {
  timeout: 60_000,
}, async () => {
  const open = await oldLog({ entries: trueEvents(0n, 1_100n), end: 1_100n }, AGE + 1)
  const of = await dayOf(open)
  await archive(makeFolder(), { topic: open.log.identity.topic })
  await signedAt(open, 300n)
  await signedAt(open, 512n)
  await signedAt(open, 1_500n)
  const rows = await rowsIn(of, open)
  expect(await detach(of)).toBe('1100')
  const { runs, hashes } = await recorded(open)
  expect(runs).toMatchObject([{ from_leaf: '0', to_leaf: '1100', from_offset: '0', to_offset: '1100' }])
  const inBlocks = ({ leaf }: { readonly leaf: string }) => [1n, 4n].includes(BigInt(leaf) >> 8n)
  expect(hashes).toEqual(rows.filter(inBlocks))
  await drop(of)
})

it('of a day that was detached before there was a record, what its table has; else nothing', {
  timeout: 60_000,
}, async () => {
  const open = await oldLog(undefined, AGE + 2)
  const other = await oldLog(undefined, AGE + 3)
  const [standing, gone] = [await dayOf(open), await dayOf(other)]
  for (const each of [open, other]) await archive(makeFolder(), { topic: each.log.identity.topic })
  for (const each of [gone, standing]) expect(await detach(each)).toBe('300')
  const before = await recorded(open)
  await drop(gone)
  const file = fileURLToPath(new URL('../../drizzle/0015_detached_leaves.sql', import.meta.url))
  const statement = readFileSync(file, 'utf8').split('--> statement-breakpoint').at(-1) ?? ''
  expect(statement).toContain('record_detached_leaves')
  await asOwner(async (client) => {
    await withoutGuards(client, async () => {
      await client.query('delete from detached_leaves')
      await client.query('delete from detached_hashes')
    })
    await client.query(`revoke all on ${table(standing)} from streaming_ingest_app`)
    await client.query(statement)
  })
  expect(await recorded(open)).toEqual(before)
  expect((await recorded(other)).runs).toEqual([])
  await withClient(platform.database.appUrl, (client) => client.query(`select from ${table(standing)}`))
})

it('nothing comes between the look and the deed, whatever isolation is the default', {
  timeout: 60_000,
}, async () => {
  const open = await oldLog({ entries: trueEvents(0n, 600n), end: 600n })
  const { topic } = open.log.identity
  await archive(makeFolder(), { topic })
  await signedAt(open, 1_000n)
  const of = await dayOf(open)
  const { name } = platform.database
  const whileItWaits = (work: (client: Client) => Promise<unknown>): Promise<string> =>
    asOwner(async (client) => {
      await client.query('begin isolation level read committed')
      await client.query('lock table legal_holds in row exclusive mode')
      const waiting = detach(of)
      await waitsFor(client, 'legal_holds')
      await work(client)
      await client.query('commit')
      return await waiting
    })
  await asOwner((client) =>
    client.query(`alter database "${name}" set default_transaction_isolation = 'repeatable read'`),
  )
  try {
    const held = await whileItWaits((client) =>
      client.query(
        `insert into legal_holds (scope, subject, held, reason, created_by) values ('tenant', 'tenant-3', true, 'x', 'ada')`,
      ),
    )
    expect(held).toBe(`HELD: a legal hold on the tenant tenant-3 keeps the day ${of}`)
    await platform.store.holds.putHold(
      { scope: 'tenant', subject: 'tenant-3', reason: 'over' },
      false,
      'test',
    )
    // Its root could not be computed again: nobody wrote down the leaves of its block.
    expect(await whileItWaits(() => signedAt(open, 100n))).toMatch(/^DAY_NEEDED: the checkpoint .* was made/)
    await expect(
      asOwner((client) => client.query(`select detach_events_partition('${of}', 'x')`)),
    ).rejects.toMatchObject({ hint: 'ISOLATION' })
    expect((await recorded(open)).runs).toEqual([])
    expect(await detach(of)).toBe('600')
    expect((await recorded(open)).hashes).toHaveLength(256 + (600 - 512))
    await attachAgain(of)
  } finally {
    await asOwner((client) => client.query(`alter database "${name}" reset default_transaction_isolation`))
  }
})

it('a hold waits for a day that is being detached, but not for long, and is then not accepted', async () => {
  const { holds } = platform.store
  const hold = { scope: 'topic', subject: randomUUID(), reason: 'x' } as const
  await asOwner(async (client) => {
    await client.query('begin')
    await client.query('lock table legal_holds in share mode')
    const startedAt = performance.now()
    await expect(holds.putHold(hold, true, 'ada')).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE' })
    expect(performance.now() - startedAt).toBeLessThan(8_000)
    await client.query('rollback')
  })
  expect((await holds.listHolds()).filter(({ subject }) => subject === hold.subject)).toEqual([])
})

it('SIGTERM gives it up, in the server too, and nothing was done', { timeout: 60_000 }, async () => {
  const open = await oldLog()
  await archive(makeFolder(), { topic: open.log.identity.topic })
  const of = await dayOf(open)
  const entry = fileURLToPath(new URL('../../src/recovery/main.ts', import.meta.url))
  await asOwner(async (client) => {
    await client.query('begin')
    await client.query('lock table legal_holds in row exclusive mode')
    const child = spawn(
      process.execPath,
      ['--import', 'tsx', entry, 'detach', '--day', of, '--reason', 'x', '--json'],
      {
        env: { PATH: process.env['PATH'], DATABASE_ADMIN_URL: platform.database.adminUrl },
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    )
    let stdout = ''
    child.stdout.on('data', (text) => {
      stdout += text
    })
    const ended = new Promise((resolve) => child.once('close', resolve))
    await waitsFor(client, 'legal_holds')
    const before = await client.query('select max(sequence) as last from detached_partitions')
    child.kill('SIGTERM')
    expect(await ended).toBe(1)
    expect(JSON.parse(stdout)).toMatchObject({ error: { code: 'INTERRUPTED' } })
    // The server ends a session a moment after its client has gone; the lock that this one waits for is held still.
    const left = `select from pg_stat_activity where application_name = 'streaming-ingest/detach' and datname = current_database()`
    await until(
      async () => (await client.query(left)).rowCount === 0,
      20_000,
      () => 'the session is there still',
    )
    await client.query('rollback')
    expect((await client.query('select max(sequence) as last from detached_partitions')).rows).toEqual(
      before.rows,
    )
  })
  expect((await appendTo(platform.store, open, trueEvents(700n, 701n), 701n)).kind).toBe('appended')
  expect(await detach(of)).toMatch(/^\d+$/)
  await attachAgain(of)
})
