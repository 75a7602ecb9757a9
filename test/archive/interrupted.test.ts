/** A recovery that is broken off while the database does not answer: it ends, and nothing was written. */
import { expect, it } from 'vitest'
import { appendTo, openLog } from '../store/fixture.ts'
import { withClient } from '../support/database.ts'
import { until } from '../support/platform.ts'
import { trueEvents } from '../verification/trueLog.ts'
import { key, useArchives } from './fixture.ts'
import { start } from './process.ts'

const { platform, makeFolder, archive, checkpoint, emptyDatabase } = useArchives('interrupted')

it.each<NodeJS.Signals>(['SIGTERM', 'SIGINT'])('ends at %s behind its last row', async (signal) => {
  const open = await openLog(platform.store)
  const { topic } = open.log.identity
  await appendTo(platform.store, open, trueEvents(0n, 300n), 300n)
  await checkpoint(topic)
  const folder = makeFolder()
  await archive(folder, { topic })
  const database = await emptyDatabase()
  await withClient(database.adminUrl, async (holder) => {
    // What a recovery writes last.
    await holder.query('begin; lock table operator_actions in access exclusive mode')
    const running = start(['recover', '--from', folder, '--key', key.verifierKey.text, '--json'], {
      DATABASE_ADMIN_URL: database.adminUrl,
    })
    await until(
      async () => {
        const { rowCount } = await withClient(database.adminUrl, (client) =>
          client.query(
            `select from pg_stat_activity where application_name = 'streaming-ingest/recover'
                and datname = current_database() and wait_event_type = 'Lock'`,
          ),
        )
        return rowCount === 1
      },
      30_000,
      () => 'it does not come to its end',
    )
    const signalledAt = performance.now()
    running.kill(signal)
    const { code, stdout } = await running.ended
    expect(performance.now() - signalledAt).toBeLessThan(5_000)
    const detail = 'interrupted: nothing was written'
    expect([code, JSON.parse(stdout)]).toEqual([1, { error: { code: 'INTERRUPTED', detail } }])
    await holder.query('rollback')
  })
  const { rowCount } = await withClient(database.adminUrl, (client) =>
    client.query('select from partition_logs union all select from operator_actions'),
  )
  expect(rowCount).toBe(0)
})
