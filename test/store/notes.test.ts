/** What waits at a place, where very much was signed: each look reads a bounded number of rows, whatever waits. */
import type { Pool } from 'pg'
import { beforeAll, expect, test } from 'vitest'
import { logId } from '../../src/domain/model.ts'
import type { PlaceStanding } from '../../src/ports.ts'
import { createNoteStore } from '../../src/store/notes.ts'
import { withClient } from '../support/database.ts'
import { withoutGuards } from '../verification/trueLog.ts'
import { useStore } from './fixture.ts'

const fixture = useStore('notes')
const LOGS = 60
const SIGNED = 500
const MAX_COUNTED = 10_000

/** Signed an hour ago and before, one each second: 30,000 positions. */
beforeAll(() =>
  withClient(fixture.database.adminUrl, (client) =>
    withoutGuards(client, async () => {
      await client.query(
        `insert into partition_logs (topic, partition, topic_id, incarnation, leader_epoch, start_offset, next_offset, size, bytes, frontier, created_at)
         select 'much', i - 1, gen_random_uuid(), 1, 0, 0, 0, 0, 0, '', now() from generate_series(1, $1::int) i`,
        [LOGS],
      )
      await client.query(
        `insert into checkpoints (id, topic, created_at, created_by)
         select gen_random_uuid(), 'much', now() - make_interval(hours => 1, secs => $1::int - i), 'test'
           from generate_series(1, $1::int) i`,
        [SIGNED],
      )
      await client.query(
        `insert into checkpoint_positions (checkpoint_id, log_id, partition, "offset", size, root_hash, note)
         select c.id, l.id, l.partition, c.sequence, c.sequence, decode(repeat('00', 32), 'hex'), 'a note'
           from checkpoints c cross join partition_logs l`,
      )
    }),
  ),
)

const place = (name: string, where: string) =>
  withClient(fixture.database.adminUrl, async (client) => {
    await client.query(
      `insert into note_placements (place, log_id, size, checkpoint_id, outcome)
       select $1, log_id, size, checkpoint_id, 'held' from checkpoint_positions where ${where} on conflict do nothing`,
      [name],
    )
    // As autovacuum does: without it another index is taken, that has the rows of all places.
    await client.query('analyze note_placements, note_flaws')
  })

interface PlanNode {
  readonly 'Actual Rows': number
  readonly 'Actual Loops': number
  readonly 'Rows Removed by Filter'?: number
  readonly Plans?: readonly PlanNode[]
}

const rowsOf = (node: PlanNode): number =>
  Math.max(
    (node['Actual Rows'] + (node['Rows Removed by Filter'] ?? 0)) * node['Actual Loops'],
    ...(node.Plans ?? []).map(rowsOf),
  )

/** A store, and the most rows that one step of any of its statements saw since it was asked last. */
function watched() {
  let most = 0
  const pool = fixture.connections.readers
  const readers = new Proxy(pool, {
    get(target: Pool, name) {
      if (name !== 'query') return Reflect.get(target, name)
      return async (query: { readonly text: string }, values: readonly unknown[]) => {
        const explained = await pool.query<{ 'QUERY PLAN': readonly { Plan: PlanNode }[] }>(
          `explain (analyze, format json) ${query.text}`,
          [...values],
        )
        for (const { Plan } of explained.rows[0]?.['QUERY PLAN'] ?? []) most = Math.max(most, rowsOf(Plan))
        return pool.query(query, [...values])
      }
    },
  })
  const notes = createNoteStore({ ...fixture.connections, readers })
  return {
    notes,
    standing: async (name: string): Promise<PlaceStanding> => {
      const [found] = await notes.standingOf([name])
      return found ?? Promise.reject(new Error('no place'))
    },
    mostRows: () => {
      const seen = most
      most = 0
      return seen
    },
  }
}

test('a look counts what waits to a bound, and reads no more than that, whatever waits', async () => {
  const { notes, standing, mostRows } = watched()
  const { rows } = await withClient(fixture.database.adminUrl, (client) =>
    client.query<{ oldest: Date; newest: string }>(
      'select min(created_at) as oldest, max(sequence) as newest from checkpoints',
    ),
  )
  for (let round = 0; round < 2; round++) {
    expect(await standing('new')).toMatchObject({ waiting: MAX_COUNTED, moreWait: true })
    // One row more tells that there are more; and the first of each log is looked at, whatever else is.
    expect(mostRows()).toBeLessThanOrEqual(MAX_COUNTED + 1 + 2 * LOGS)
  }
  const { oldestWaiting, newestWaiting } = await standing('new')
  // Microseconds are cut off here, and rounded there.
  expect(Math.abs((oldestWaiting?.getTime() ?? 0) - (rows[0]?.oldest.getTime() ?? 0))).toBeLessThanOrEqual(1)
  expect(newestWaiting).toBe(BigInt(rows[0]?.newest ?? 0))
  mostRows()
  const found = await notes.notesToPlace('new')
  expect(mostRows()).toBeLessThanOrEqual(2 * MAX_COUNTED + 2 * LOGS)
  expect(found).toHaveLength(5_000)
  // Each log's smallest first.
  expect(new Set(found.slice(0, LOGS).map(({ logId: id, size }) => `${id} ${size}`)).size).toBe(LOGS)
  expect(found.slice(0, LOGS).every(({ size }) => size === 1n)).toBe(true)
})

test('what a place has is read once, in steps; a note that is missing in the middle of it is found', async () => {
  await place('all but two', 'not (log_id = 7 and size in (200, 300))')
  const { notes, standing, mostRows } = watched()
  let seen = await standing('all but two')
  for (let look = 0; look < 50 && seen.moreWait; look++) seen = await standing('all but two')
  expect(mostRows()).toBeLessThanOrEqual(20_000 + LOGS)
  expect(seen).toMatchObject({ waiting: 2, moreWait: false, newestWaiting: 300n })
  // The first that waits of the log is where each look begins from now on.
  expect(await standing('all but two')).toMatchObject({ waiting: 2, moreWait: false })
  expect(mostRows()).toBeLessThanOrEqual(SIGNED)
  expect((await notes.notesToPlace('all but two')).map(({ logId: id, size }) => [id, size])).toEqual([
    [7, 200n],
    [7, 300n],
  ])
  expect(await notes.notesToPlace('all but two', { logs: [logId(7)] })).toEqual([])
  await place('all but two', 'log_id = 7 and size = 200')
  expect(await standing('all but two')).toMatchObject({ waiting: 1, newestWaiting: 300n })
  await place('all but two', 'log_id = 7')
  expect(await standing('all but two')).toMatchObject({ waiting: 0, moreWait: false, oldestWaiting: null })
  mostRows()
  expect(await standing('all but two')).toMatchObject({ waiting: 0, moreWait: false })
  expect(mostRows()).toBeLessThan(10)
})

test('a log that many notes were placed of since the last look is gone through in steps, and is not taken to have all', async () => {
  const { standing } = watched()
  await place('slow', 'log_id <> 9')
  let seen = await standing('slow')
  for (let look = 0; look < 50 && seen.moreWait; look++) seen = await standing('slow')
  expect(seen).toMatchObject({ waiting: SIGNED, moreWait: false })
  await place('slow', `size <= ${SIGNED - 3}`)
  expect(await standing('slow')).toMatchObject({ waiting: 3, moreWait: false })
})

test('flawed notes are counted to the bound too, do not wait, and are looked at again in pages', async () => {
  const logs = 24
  await withClient(fixture.database.adminUrl, (client) =>
    client.query(
      `insert into note_flaws (place, checkpoint_id, log_id, size, detail)
       select 'flawed', checkpoint_id, log_id, size, 'it is none' from checkpoint_positions where log_id <= $1 order by log_id, size`,
      [logs],
    ),
  )
  await place('flawed', `log_id > ${logs} and not (log_id = 60 and size = 7)`)
  const { notes, standing, mostRows } = watched()
  let seen = await standing('flawed')
  for (let look = 0; look < 50 && seen.moreWait; look++) seen = await standing('flawed')
  expect(mostRows()).toBeLessThanOrEqual(20_000 + LOGS)
  expect(seen).toMatchObject({ waiting: 1, moreWait: false, flawed: { count: MAX_COUNTED, more: true } })
  expect(seen.flawed?.first).toMatchObject({ topic: 'much', incarnation: 1, detail: 'it is none' })
  expect((await notes.notesToPlace('flawed')).map(({ logId: id, size }) => [id, size])).toEqual([[60, 7n]])
  const sizes: number[] = []
  let from: string | null = null
  do {
    const page = await notes.flawedNotes('flawed', from)
    sizes.push(page.notes.length)
    from = page.next
  } while (from !== null)
  expect(sizes).toEqual([...Array(logs / 2).fill(1_000), 0])
  mostRows()
  await standing('flawed')
  expect(mostRows()).toBeLessThanOrEqual(MAX_COUNTED + 1)
})
