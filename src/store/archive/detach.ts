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
  TOO_YOUNG: 'BAD_REQUEST',
  NO_PARTITION: 'BAD_REQUEST',
} as const

/** Takes a day's partition out of the log, as the owner. Throws HELD, NOT_ARCHIVED, DAY_NEEDED, BAD_REQUEST, FORBIDDEN. */
export async function detachPartition(
  ownerUrl: string,
  { day, reason }: { readonly day: string; readonly reason: string },
): Promise<Detached> {
  const isDay = /^\d{4}-\d{2}-\d{2}$/.test(day) && !Number.isNaN(Date.parse(day))
  if (!isDay || new Date(day).toISOString().slice(0, 10) !== day)
    throw new ServiceError('BAD_REQUEST', 'day: must be a day such as 2026-01-31')
  if (reason.trim() === '' || reason.includes('\u0000'))
    throw new ServiceError('BAD_REQUEST', 'reason: must not be empty')
  parseDatabaseUrl(ownerUrl, 'DATABASE_ADMIN_URL')
  const client = new Client({
    connectionString: ownerUrl,
    application_name: 'streaming-ingest/detach',
    connectionTimeoutMillis: 10_000,
  })
  client.on('error', () => undefined) // the statement in flight fails with the same error
  return await guarded('detaching a partition', async () => {
    await client.connect()
    try {
      await client.query("set timezone to 'UTC'; set lock_timeout to '10s'")
      const { rows } = await client.query<{ events: string }>(
        'select public.detach_events_partition($1::date, $2) as events',
        [day, reason],
      )
      const { events } = onlyRow(rows, 'the answer')
      return { day, table: `events_${day.replaceAll('-', '')}`, events }
    } catch (error) {
      throw refusalOf(error) ?? error
    } finally {
      await client.end()
    }
  })
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
