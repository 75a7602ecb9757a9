import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from 'pg'
import { ServiceError } from '../../errors.ts'
import { guarded, sqlStateOf } from '../failure.ts'
import { parseDatabaseUrl } from '../roles.ts'
import { onlyRow } from '../transaction.ts'

export interface Detached {
  readonly day: string
  readonly table: string
  readonly events: string
}

/** What the function says with its hint. */
const codes = {
  HELD: 'HELD',
  NOT_ARCHIVED: 'NOT_ARCHIVED',
  NEEDED: 'DAY_NEEDED',
  DAMAGED: 'LOG_DAMAGED',
  TOO_YOUNG: 'BAD_REQUEST',
  NO_PARTITION: 'BAD_REQUEST',
  EMPTY: 'BAD_REQUEST',
} as const

/**
 * Takes a day's partition out of the log, as the owner. When it is aborted before its end, the server gives the statement up, and
 * nothing has happened. Throws HELD, NOT_ARCHIVED, DAY_NEEDED, LOG_DAMAGED, BAD_REQUEST, FORBIDDEN.
 */
export async function detachPartition(
  ownerUrl: string,
  { day, reason }: { readonly day: string; readonly reason: string },
  signal: AbortSignal,
): Promise<Detached> {
  const isDay = /^\d{4}-\d{2}-\d{2}$/.test(day) && !Number.isNaN(Date.parse(day))
  if (!isDay || new Date(day).toISOString().slice(0, 10) !== day)
    throw new ServiceError('BAD_REQUEST', '--day must be a day such as 2026-01-31')
  if (reason.trim() === '' || reason.includes('\u0000'))
    throw new ServiceError('BAD_REQUEST', '--reason must not be empty')
  parseDatabaseUrl(ownerUrl, 'DATABASE_ADMIN_URL')
  const client = clientOf(ownerUrl)
  return await guarded('detaching a partition', async () => {
    signal.throwIfAborted()
    await client.connect()
    const cancel = cancellation(client, ownerUrl)
    signal.addEventListener('abort', cancel.now, { once: true })
    try {
      await client.query(SETTINGS)
      // A database or a role may have another isolation as its default; the function refuses that.
      await client.query('begin isolation level read committed')
      signal.throwIfAborted()
      const { rows } = await client.query<{ events: string }>(
        'select public.detach_events_partition($1::date, $2) as events',
        [day, reason],
      )
      const { events } = onlyRow(rows, 'the answer')
      signal.throwIfAborted()
      // From here on it is done, and says so.
      await client.query('commit')
      return { day, table: `events_${day.replaceAll('-', '')}`, events }
    } catch (error) {
      throw refusalOf(error) ?? error
    } finally {
      signal.removeEventListener('abort', cancel.now)
      await cancel.settled()
      // Ends the transaction, if it has not ended.
      await client.end()
    }
  })
}

/** A session that is gone (the process was killed) does not go on holding its locks: the server looks each second. */
const SETTINGS =
  "set timezone to 'UTC'; set lock_timeout to '10s'; set client_connection_check_interval to '1s'"
const CONNECT_TIMEOUT_MS = 10_000

function clientOf(connectionString: string): Client {
  const client = new Client({
    connectionString,
    application_name: 'streaming-ingest/detach',
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
  })
  client.on('error', () => undefined) // the statement in flight fails with the same error
  return client
}

/** Between two requests to give up: one that comes before its statement has begun is lost. */
const CANCEL_AGAIN_MS = 200

/** Has the server give up the statement in flight; where it cannot be told, it notices that nobody listens any more. */
function cancellation(client: Client, url: string) {
  let over = false
  let work: Promise<void> = Promise.resolve()
  const ask = async (): Promise<void> => {
    const other = clientOf(url)
    try {
      await other.connect()
      while (!over) {
        await other.query('select pg_cancel_backend($1)', [Reflect.get(client, 'processID')])
        await sleep(CANCEL_AGAIN_MS)
      }
    } catch {
      client.connection.stream.destroy(new Error('Connection terminated: detaching was given up'))
    } finally {
      await other.end()
    }
  }
  return {
    now: (): void => {
      work = ask()
    },
    settled: (): Promise<void> => {
      over = true
      return work
    },
  }
}

/** The function's own words are for people; they name topics and tenants, never events. */
function refusalOf(error: unknown): ServiceError | null {
  if (!(error instanceof Error)) return null
  if (sqlStateOf(error) === '42501')
    return new ServiceError('FORBIDDEN', 'Only the owner of the database may detach a partition')
  const hint: unknown = Reflect.get(error, 'hint')
  const code = Object.entries(codes).find(([name]) => name === hint)?.[1]
  return code === undefined ? null : new ServiceError(code, error.message)
}
