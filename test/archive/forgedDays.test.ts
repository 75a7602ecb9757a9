/** Records of detached days that somebody wrote to hide what he removed: they hide nothing that they can be held against. */
import type { Client } from 'pg'
import { expect, it } from 'vitest'
import { type LogId, offset } from '../../src/domain/model.ts'
import { ageLog, appendTo, openLog } from '../store/fixture.ts'
import { withClient } from '../support/database.ts'
import { trueEvents, withoutGuards } from '../verification/trueLog.ts'
import { verifyWhole } from '../verification/verifyWhole.ts'
import { table, useDays } from './detachFixture.ts'
import { codeOf, useArchives } from './fixture.ts'

const archives = useArchives('forged_days')
const { platform, makeFolder, archive, checkpoint } = archives
const { dayOf, detach, drop } = useDays(archives)
const asOwner = <T>(work: (client: Client) => Promise<T>): Promise<T> =>
  withClient(platform.database.adminUrl, work)

/** 700 leaves of a day that long ago, and 700 of today; all archived. */
async function makeLog(age: number) {
  const open = await openLog(platform.store)
  const { topic } = open.log.identity
  await appendTo(platform.store, open, trueEvents(0n, 700n), 700n)
  await ageLog(platform, open, age)
  await checkpoint(topic)
  await appendTo(platform.store, open, trueEvents(700n, 1_400n), 1_400n)
  await checkpoint(topic)
  const { id: archiveId } = await archive(makeFolder(), { topic })
  return { open, id: open.log.logId, of: await dayOf(open), archiveId }
}

const remove = (id: LogId, from: number, to: number): Promise<void> =>
  asOwner((client) =>
    withoutGuards(client, () =>
      client.query('delete from events where log_id = $1 and leaf_index >= $2 and leaf_index < $3', [
        ...[id, from, to],
      ]),
    ),
  )

interface Record {
  readonly of: string
  readonly leaves: readonly [number, number]
  readonly offsets: readonly [number, number]
  readonly archiveId: string
}

const forge = (id: LogId, { of, leaves, offsets, archiveId }: Record): Promise<void> =>
  asOwner(async (client) => {
    const { rows } = await client.query(
      `insert into detached_partitions (day, name, rows, reason, detached_by) values ($1, 'x', 10, 'x', 'x') returning sequence`,
      [of],
    )
    const detachment = rows[0]?.sequence
    await client.query('insert into detached_leaves values ($1, $2, $3, $4, $5, $6, array[$7::uuid])', [
      ...[detachment, id, ...leaves, ...offsets, archiveId],
    ])
    await client.query(
      `insert into detached_hashes select $1, $2, $3, string_agg(leaf_hash, ''::bytea order by leaf_index)
         from events where log_id = $2 and leaf_index >= $3 and leaf_index < $4`,
      [detachment, id, ...leaves],
    )
  })

const read = (id: LogId) => ({
  page: codeOf(
    platform.store.reader.readPage({
      ...{ logId: id, from: offset(950n), to: offset(1_400n), filters: {} },
      ...{ maxScanned: 4_096, maxBytes: 1 << 24 },
    }),
  ),
  count: codeOf(platform.store.reader.countRange(id, offset(950n), offset(1_400n), {})),
})

it.each([
  ['far away', [900_000_000, 900_000_001]],
  ['where other rows are', [900, 905]],
] as const)(
  'no page passes over removed events since a record says that they were %s',
  async (_, offsets) => {
    const { id, archiveId } = await makeLog(30)
    await forge(id, { of: '1999-01-01', leaves: [1_000, 1_005], offsets, archiveId })
    await remove(id, 1_000, 1_005)
    const { page, count } = read(id)
    expect(await page).toMatch(/^LOG_DAMAGED: /)
    expect(await count).toMatch(/^LOG_DAMAGED: /)
  },
)

it('nor since a record names no archive that has them', async () => {
  const { id } = await makeLog(30)
  const strange = '00000000-0000-4000-8000-000000000000'
  await forge(id, { of: '1999-01-01', leaves: [1_000, 1_005], offsets: [1_000, 1_005], archiveId: strange })
  await remove(id, 1_000, 1_005)
  const { page, count } = read(id)
  expect(await page).not.toMatch(/^done/)
  expect(await count).not.toMatch(/^done/)
})

it('a day that is attached is not away, whatever its partition is called', async () => {
  const { open, id, of, archiveId } = await makeLog(60)
  await forge(id, { of, leaves: [300, 310], offsets: [300, 310], archiveId })
  await remove(id, 300, 310)
  const found = async () => {
    const { findings, detached } = await verifyWhole(platform.store, open)
    return { missing: findings.counts.missing, detached: detached.leaves }
  }
  expect(await found()).toEqual({ missing: '10', detached: 0n })
  await asOwner((client) => client.query(`alter table ${table(of)} rename to events_other`))
  expect(await found()).toEqual({ missing: '10', detached: 0n })
})

it('an empty partition of a day that is gone is not detached: its record would hide the one that counts', async () => {
  const { open, of } = await makeLog(20)
  await detach(of)
  await drop(of)
  await asOwner((client) => client.query('select create_events_partition($1::date)', [of]))
  expect(await detach(of)).toMatch(/^BAD_REQUEST: the partition of the day .* has no event: drop it/)
  await asOwner((client) => client.query(`drop table ${table(of)}`))
  const { findings, detached } = await verifyWhole(platform.store, open)
  expect([findings.counts, detached.leaves]).toEqual([{}, 700n])
})
