/** What verification says of days that were detached on purpose: nobody looked at them, and nothing of it is hidden. */
import { randomUUID } from 'node:crypto'
import type { Client } from 'pg'
import { expect, it } from 'vitest'
import { planVerification } from '../../activities/verification/planVerification.ts'
import { verifyLogSlice } from '../../activities/verification/verifyLogActivity.ts'
import { viewOfVerification } from '../../activities/verification/viewOfVerification.ts'
import { formatVerification } from '../../src/cli/evidence/verifications.ts'
import { rootOf } from '../../src/domain/merkle.ts'
import { leafIndex } from '../../src/domain/model.ts'
import { scopeOf } from '../activities/fixture.ts'
import { AGE, table, useDays } from '../archive/detachFixture.ts'
import { recoverInto, useArchives } from '../archive/fixture.ts'
import { ageLog, appendTo, type OpenLog, openLog } from '../store/fixture.ts'
import { withClient } from '../support/database.ts'
import { motley, trueEvents, verdict, withoutGuards } from './trueLog.ts'
import { verifyWhole } from './verifyWhole.ts'

const archives = useArchives('verify_detached')
const { platform, makeFolder, archive, checkpoint } = archives
const { detach, attachAgain, dayOf, drop, oldLog } = useDays(archives)

const asOwner = <T>(work: (client: Client) => Promise<T>): Promise<T> =>
  withClient(platform.database.adminUrl, work)

const unguarded = (...statements: readonly string[]) =>
  asOwner((client) =>
    withoutGuards(client, async () => {
      for (const statement of statements) await client.query(statement)
    }),
  )

const found = async (open: OpenLog, pages?: number) => {
  const { findings, detached } = await verifyWhole(platform.store, open, pages)
  return { ...findings.counts, detached: String(detached.leaves) }
}

/** Two more for each log: it may be tomorrow by the next one. */
let days = AGE
/** A log with a day of its own that is archived and detached, with checkpoints in it, behind it and at its end. */
async function detachedLog(entries = motley(0n, 700)) {
  const open = await openLog(platform.store)
  await appendTo(platform.store, open, entries.entries, entries.end)
  const { topic } = open.log.identity
  days += 2
  await ageLog(platform, open, days)
  const of = await dayOf(open)
  await checkpoint(topic)
  await appendTo(platform.store, open, trueEvents(entries.end, entries.end + 700n), entries.end + 700n)
  await checkpoint(topic)
  const folder = makeFolder()
  const made = await archive(folder, { topic })
  expect(await detach(of)).toMatch(/^\d+$/)
  return { open, of, folder, made, topic, id: open.log.logId }
}

async function viewOf({ log: { identity } }: OpenLog) {
  const verificationId = randomUUID()
  const deps = {
    ...platform.deps,
    verdict,
    settings: { ...platform.deps.settings, sliceMs: 60_000 },
    observer: { ...platform.deps.observer, leavesVerified: () => undefined, logVerified: () => undefined },
  }
  const { logs } = await planVerification(platform.deps, {
    ...{
      verificationId,
      workflowId: verificationId,
      requestedBy: 'test',
      request: { topic: identity.topic },
    },
  })
  for (const { logId } of logs)
    await verifyLogSlice(deps, scopeOf(), { verificationId, logId, progress: null })
  const record = await platform.store.verifications.getVerification(verificationId)
  if (record === null) throw new Error('there is no verification')
  return viewOfVerification(record)
}

it('a table that still stands is read like any other, and a change to it is found', {
  timeout: 60_000,
}, async () => {
  const { open, of } = await detachedLog()
  expect(await found(open)).toEqual({ detached: '0' })
  expect(await found(open, 0)).toEqual({ detached: '0' })
  await unguarded(
    `update ${table(of)} set value = '{}' where leaf_index = 40`,
    `delete from ${table(of)} where leaf_index = 300`,
  )
  expect(await found(open)).toMatchObject({ 'altered-bytes': '1', missing: '1', detached: '0' })
  // Behind the end of the log.
  const { rows } = await asOwner((client) =>
    client.query<{ columns: string }>(
      `select string_agg(case when attname in ('offset', 'leaf_index') then '1000000' else quote_ident(attname) end, ', ' order by attnum) as columns
         from pg_attribute where attrelid = $1::regclass and attnum > 0`,
      [table(of)],
    ),
  )
  await unguarded(
    `insert into ${table(of)} select ${rows[0]?.columns} from ${table(of)} where leaf_index = 50`,
  )
  expect(await found(open)).toMatchObject({ 'altered-bytes': '1', missing: '1', inserted: '1' })
  await asOwner((client) => client.query(`revoke select on ${table(of)} from streaming_ingest_app`))
  await expect(found(open)).rejects.toMatchObject({ code: 'FORBIDDEN' })
  await drop(of)
})

it('of a table that is gone nothing is missing, nodes and record lead to every root, and it is said', {
  timeout: 60_000,
}, async () => {
  const { open, of, made, folder, topic } = await detachedLog()
  const whole = await verifyWhole(platform.store, open)
  await drop(of)
  for (const pages of [undefined, 0]) {
    const progress = await verifyWhole(platform.store, open, pages)
    expect(progress.findings).toEqual({ kept: [], counts: {} })
    expect(progress.blocks).toEqual(whole.blocks)
    expect(progress.counts.checkpoints).toBe(2n)
    expect(progress.counts.events + progress.detached.leaves).toBe(whole.counts.events)
  }
  const view = await viewOf(open)
  const away = whole.counts.events - 700n
  expect(view).toMatchObject({
    progress: { checked: String(1_400n - away), detached: String(away), total: '1400' },
    parts: [
      {
        verdict: 'intact',
        checked: String(1_400n - away),
        detached: {
          leaves: String(away),
          days: [
            {
              day: of,
              leaves: String(away),
              archives: [{ id: made.id, place: folder, manifestHash: made.manifestHash }],
            },
          ],
        },
      },
    ],
  })
  const lines = formatVerification(view).join('\n')
  expect(lines).toContain(`but for ${away} detached leaves`)
  expect(lines).toContain(
    `detached with ${of}, and not looked at: ${away} leaves of 0 to 700, held by ${made.id}`,
  )
  const database = await archives.emptyDatabase()
  const recovered = await recoverInto(database, folder)
  expect(recovered.logs.find((log) => log.topic === topic)).toMatchObject({ leaves: '1400' })
})

it('a day of whole blocks, of which only nodes tell', { timeout: 60_000 }, async () => {
  const { open, of, id } = await detachedLog({ entries: trueEvents(0n, 1_500n), end: 1_500n })
  await drop(of)
  expect(await found(open)).toEqual({ detached: '1500' })
  await unguarded(`update log_nodes set hash = sha256(hash) where log_id = ${id} and level = 8 and index = 2`)
  expect(await found(open)).toMatchObject({ frontier: '1' })
  expect((await found(open)).checkpoint).toBe('2')
})

it('a log that was closed, and ends among leaves that are away', { timeout: 60_000 }, async () => {
  const { store } = platform
  const open = await openLog(store)
  const { entries, end } = motley(0n, 700)
  await appendTo(store, open, entries, end)
  days += 2
  await ageLog(platform, open, days)
  const of = await dayOf(open)
  const { topic, partition } = open.log.identity
  await checkpoint(topic)
  await archive(makeFolder(), { topic })
  const whole = await verifyWhole(store, open)
  await asOwner((client) =>
    client.query(
      'insert into partition_logs (topic, partition, topic_id, leader_epoch, start_offset) values ($1, $2, gen_random_uuid(), 0, 0)',
      [topic, partition],
    ),
  )
  expect(await detach(of)).toMatch(/^\d+$/)
  await drop(of)
  for (const pages of [undefined, 0]) {
    const { blocks, findings, counts, detached, endOffset } = await verifyWhole(store, open, pages)
    expect([blocks, findings.counts, endOffset]).toEqual([whole.blocks, {}, whole.endOffset])
    expect([counts.events, detached.leaves]).toEqual([0n, whole.counts.events])
  }
  expect(await store.reader.rootAt(open.log.logId, leafIndex(700n))).toBe(
    rootOf(open.position.frontier, leafIndex(700n)),
  )
})

it('what the record does not name, or no verified archive holds, is missing', {
  timeout: 60_000,
}, async () => {
  const { open, of, id, made } = await detachedLog()
  await drop(of)
  const before = await verifyWhole(platform.store, open)
  // The record names one leaf less.
  await unguarded(
    `update detached_leaves set from_leaf = 1, from_offset = 1 where log_id = ${id} and from_leaf = 0`,
  )
  expect(await found(open)).toMatchObject({ missing: '1', detached: String(before.detached.leaves - 1n) })
  // Without the archive nothing excuses them.
  await unguarded(
    `update archive_results set status = 'failed', manifest_sha256 = null where archive_id = '${made.id}'`,
  )
  expect(await found(open)).toMatchObject({ missing: String(before.detached.leaves), detached: '0' })
})

it('a record that lies is found: of other hashes, of none, of a day that is attached, of an event that was removed', {
  timeout: 60_000,
}, async () => {
  const { open, of, id, made } = await detachedLog()
  const removed = 1_000n
  // The row of an attached day, and a record that says it went with the detached one, with the archive that holds it.
  const forged = `insert into detached_leaves select detachment, log_id, ${removed}, ${removed + 1n}, ${removed}, ${removed + 1n}, '{${made.id}}'
                    from detached_leaves where log_id = ${id} limit 1`
  await unguarded(`delete from events where log_id = ${id} and leaf_index = ${removed}`, forged)
  expect(await found(open)).toMatchObject({ missing: '1' })
  await drop(of)
  expect(await found(open)).toMatchObject({ missing: '1' })
  await unguarded(
    `update detached_hashes set hashes = sha256('x') || substring(hashes from 33) where log_id = ${id} and from_leaf = 0`,
  )
  expect(await found(open)).toMatchObject({ rewritten: '1', missing: '1' })
  await unguarded(`delete from detached_hashes where log_id = ${id} and from_leaf = 0`)
  expect(await found(open)).toMatchObject({ node: '1', missing: '1' })
})

it("a row in the place of a leaf that is away is nobody's", { timeout: 60_000 }, async () => {
  const { open, of, id } = await detachedLog({ entries: trueEvents(0n, 600n), end: 600n })
  await asOwner((client) =>
    client.query(
      `create table kept as select * from ${table(of)} where log_id = ${id} and leaf_index in (3, 4)`,
    ),
  )
  await drop(of)
  // With a time of today, since a partition for that day would be the day itself again.
  await unguarded(
    'update kept set ingested_at = (select max(ingested_at) from events)',
    'insert into events select * from kept',
  )
  expect(await found(open)).toMatchObject({ inserted: '2' })
  await asOwner((client) => client.query('drop table kept'))
})

it('a partition for the day, whatever it is called, is the day: what it lacks is missing', async () => {
  const { open, of } = await detachedLog()
  await drop(of)
  const to = new Date(Date.parse(of) + 86_400_000).toISOString().slice(0, 10)
  await unguarded(
    `create table elsewhere (like events)`,
    `alter table events attach partition elsewhere for values from ('${of} 00:00+00') to ('${to} 00:00+00')`,
  )
  expect(await found(open)).toMatchObject({ missing: expect.any(String), detached: '0' })
  await asOwner((client) => client.query('drop table elsewhere'))
  expect(await found(open)).not.toHaveProperty('missing')
})

it('days of which nobody wrote down the leaves are named beside what is missing', {
  timeout: 60_000,
}, async () => {
  const { open, of, id } = await detachedLog()
  await drop(of)
  await unguarded(
    `delete from detached_leaves where log_id = ${id}`,
    `delete from detached_hashes where log_id = ${id}`,
  )
  const view = await viewOf(open)
  expect(view.parts).toMatchObject([{ verdict: 'damaged', unknownDetachedDays: [of] }])
  expect(formatVerification(view).join('\n')).toContain('may be of them')
})

it('repeats of ids that went with the day are no damage, and not proven', { timeout: 60_000 }, async () => {
  const { open, of } = await detachedLog()
  const before = await verifyWhole(platform.store, open)
  await drop(of)
  const after = await verifyWhole(platform.store, open)
  expect(after.findings.counts).toEqual({})
  expect(after.counts.unproven).toBeGreaterThan(before.counts.unproven)
})

it('a day that is detached while the log is verified is no damage', { timeout: 60_000 }, async () => {
  const open = await oldLog({ entries: trueEvents(0n, 9_000n), end: 9_000n })
  const of = await dayOf(open)
  await archive(makeFolder(), { topic: open.log.identity.topic })
  const { audit } = platform.store
  let detached = false
  const whole = await verifyWhole(
    {
      audit: {
        ...audit,
        readEvents: async (request, visit) => {
          const rows = await audit.readEvents(request, visit)
          if (!detached) {
            detached = true
            expect(await detach(of)).toBe('9000')
            await drop(of)
          }
          return rows
        },
      },
    },
    open,
  )
  expect(whole.findings.counts).toEqual({})
  expect(whole.counts.events + whole.detached.leaves).toBe(9_400n)
  expect(await platform.store.reader.rootAt(open.log.logId, leafIndex(9_400n))).toHaveLength(32)
  await attachAgain(of).catch(() => undefined)
})
