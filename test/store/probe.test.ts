import { expect, test } from 'vitest'
import { createStore } from '../../src/store/store.ts'
import { withClient } from '../support/database.ts'
import { useOneDay } from '../support/midnight.ts'
import { eventEntries } from './entries.ts'
import { ageLog, appendTo, openLog, useStore } from './fixture.ts'

useOneDay()

const fixture = useStore('probe')

/** The plans that the server logged for this connection's duplicate probe. */
async function probePlan(): Promise<string> {
  const client = await fixture.connections.appenders.connect()
  try {
    const { rows } = await client.query<{ name: string; statement: string }>(
      `select name, statement from pg_prepared_statements where name like 'probe %' order by prepare_time desc limit 1`,
    )
    const name = rows[0]?.name
    if (name === undefined) throw new Error('no probe was prepared on this connection')
    const plan = await client.query<{ 'QUERY PLAN': string }>(
      `explain execute "${name}" ('{00000000-0000-4000-8000-000000000000}', 1, 0)`,
    )
    return plan.rows.map((row) => row['QUERY PLAN']).join('\n')
  } finally {
    client.release()
  }
}

test('the probe goes through the id index of the partitions that the window can lie in, and no others', async () => {
  await withClient(fixture.database.adminUrl, (client) =>
    client.query(`select create_events_partition(current_date + days) from generate_series(-30, 2) days`),
  )
  const store = createStore(fixture.connections, { dedupWindowOffsets: 400n })
  const open = await openLog(store)
  await appendTo(store, open, eventEntries(0n, 600n), 600n)
  await ageLog(fixture, open, 9)
  await appendTo(store, open, eventEntries(600n, 900n), 900n)
  await appendTo(store, open, eventEntries(900n, 1_500n), 1_500n)
  await appendTo(store, open, eventEntries(1_500n, 1_510n), 1_510n)
  // The window of the last batch, 1,100 and up, lies behind a block that was complete today.
  const plan = await probePlan()
  expect(plan.match(/events_\d+_id/g)).toHaveLength(1)
  expect(plan).toMatch(/Index Scan using events_\d+_id on events_\d+/)
  expect(plan).not.toMatch(/Seq Scan|Bitmap|_log_offset/)
})
