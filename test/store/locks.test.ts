import { setTimeout as sleep } from 'node:timers/promises'
import { Client, type Submittable } from 'pg'
import { afterEach, expect, test } from 'vitest'
import type { TerminatedBlocker } from '../../src/store/lockLog.ts'
import { createStore } from '../../src/store/store.ts'
import { withClient } from '../support/database.ts'
import { until } from '../support/platform.ts'
import { eventEntries, requestFor } from './entries.ts'
import { appendTo, openLog, useStore } from './fixture.ts'

const fixture = useStore('locks')
const clients: Client[] = []

afterEach(async () => {
  for (const client of clients.splice(0)) await client.end().catch(() => undefined)
})

/** A session that holds the log's row lock, as a writer stopped inside COPY does. */
async function holdLock(url: string, applicationName: string, logId: number): Promise<Client> {
  const client = new Client({ connectionString: url, application_name: applicationName })
  client.on('error', () => undefined)
  clients.push(client)
  await client.connect()
  await client.query('begin')
  await client.query('select from partition_logs where id = $1 for no key update', [logId])
  return client
}

/** Resolves when somebody waits for a lock that the session holds. */
async function isWaitedFor(holder: Client): Promise<void> {
  const { rows } = await holder.query('select pg_backend_pid() as pid')
  await withClient(fixture.database.adminUrl, (client) =>
    until(
      async () => {
        const waiting = 'select from pg_stat_activity where $1 = any(pg_blocking_pids(pid))'
        return (await client.query(waiting, [rows[0]?.pid])).rowCount
      },
      10_000,
      () => 'nobody waits for it',
    ),
  )
}

/** COPY that never sends a byte: the server waits for its client, and none of its time-outs fire. */
function stopInCopy(client: Client) {
  const started = Promise.withResolvers<void>()
  const ended = Promise.withResolvers<void>()
  client.query({
    submit: (connection) => connection.query('copy gaps from stdin'),
    handleCopyInResponse: () => started.resolve(),
    handleError: (error: Error) => ended.reject(error),
    handleReadyForQuery: () => ended.resolve(),
  } as Submittable)
  return { started: started.promise, ended: ended.promise }
}

test('two writers of one log: one appends, the other is told that the log moved', async () => {
  const { store } = fixture
  const open = await openLog(store)
  const request = requestFor(open.log, open.position, eventEntries(0n, 500n), 500n)
  const outcomes = await Promise.all(
    Array.from({ length: 4 }, async () => {
      const other = createStore(fixture.connections)
      return other.writer.append(await other.writer.prepare(request), async () => open.log.identity.topicId)
    }),
  )
  expect(outcomes.map(({ kind }) => kind).sort()).toEqual(['appended', 'moved', 'moved', 'moved'])
  const rows = await withClient(fixture.database.adminUrl, (client) =>
    client.query('select count(*) as count from events where log_id = $1', [open.log.logId]),
  )
  expect(rows.rows).toEqual([{ count: '500' }])
})

test('a frozen writer loses its lock to the next one', async () => {
  const terminated: TerminatedBlocker[] = []
  const store = createStore(fixture.connections, {
    lockPatienceMs: 300,
    onBlockerTerminated: (blocker) => terminated.push(blocker),
  })
  const open = await openLog(store)
  const frozen = await holdLock(fixture.database.appUrl, 'streaming-ingest/append', open.log.logId)
  const copying = stopInCopy(frozen)
  const ended = expect(copying.ended).rejects.toThrow()
  await copying.started
  expect(await appendTo(store, open, eventEntries(0n, 10n), 10n)).toMatchObject({ kind: 'appended' })
  const { processID } = frozen as Client & { processID: number }
  await ended
  // The append goes on with the lock; that it was freed by us is told when the server has answered that.
  await expect
    .poll(() => terminated, { timeout: 20_000 })
    .toEqual([{ logId: open.log.logId, pid: processID, waitedMs: 300 }])
})

test('a session of another role or of no writer is left alone: the append gives up in time', async () => {
  const terminated: TerminatedBlocker[] = []
  const store = createStore(fixture.connections, {
    lockPatienceMs: 300,
    onBlockerTerminated: (blocker) => terminated.push(blocker),
  })
  const open = await openLog(store)
  const owner = await holdLock(fixture.database.adminUrl, 'streaming-ingest/append', open.log.logId)
  await expect(appendTo(store, open, eventEntries(0n, 10n), 10n)).rejects.toMatchObject({
    code: 'DATABASE_UNAVAILABLE',
    message: expect.stringContaining('55P03'),
  })
  await owner.query('rollback')
  const stranger = await holdLock(fixture.database.appUrl, 'psql', open.log.logId)
  const appending = appendTo(store, open, eventEntries(0n, 10n), 10n)
  await isWaitedFor(stranger)
  // Its patience has been at an end three times by then.
  await sleep(1_000)
  await stranger.query('rollback')
  expect(await appending).toMatchObject({ kind: 'appended' })
  expect(terminated).toEqual([])
})
