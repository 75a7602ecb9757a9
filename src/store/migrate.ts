import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { Client } from 'pg'
import { drizzle, runMigrations } from '../../drizzle/orm.ts'
import { ServiceError } from '../errors.ts'
import { guarded } from './failure.ts'
import { checkServer, createMissing, parseDatabaseUrl } from './roles.ts'

export interface MigrateOptions {
  /** The owner's: may create databases and roles. */
  readonly adminUrl: string
  /** The application's: its database gets the schema, its role is created with its password when missing. */
  readonly appUrl?: string
}

export interface MigrateResult {
  readonly database: string
  /** Tags of the migrations that this call applied, in order. */
  readonly applied: readonly string[]
}

interface JournalEntry {
  readonly tag: string
  readonly when: number
}

/** One lock for migrations per database, another for roles and databases in the admin URL's own database. */
const MIGRATION_LOCK = [1937010286, 2] as const

/**
 * Brings the database named by `appUrl` (by `adminUrl` without it) up to this version's schema. Safe to run by many
 * processes at once. Throws DATABASE_UNAVAILABLE, SCHEMA_OUTDATED or INTERNAL, never with a URL or a password in them.
 */
export async function migrate(options: MigrateOptions): Promise<MigrateResult> {
  const admin = parseDatabaseUrl(options.adminUrl, 'DATABASE_ADMIN_URL')
  const app = options.appUrl === undefined ? null : parseDatabaseUrl(options.appUrl, 'DATABASE_URL')
  if (app !== null) await withLockedClient(options.adminUrl, (client) => createMissing(client, admin, app))
  const target = app === null ? options.adminUrl : admin.urlOf(app.database)
  const applied = await withLockedClient(target, async (client) => {
    await checkServer(client)
    const before = await newestMigration(client)
    await runMigrations(drizzle(client), { migrationsFolder: migrationsFolder() })
    return (await readJournal()).filter((entry) => before === null || entry.when > before)
  })
  return { database: app?.database ?? admin.database, applied: applied.map((entry) => entry.tag) }
}

async function withLockedClient<T>(url: string, work: (client: Client) => Promise<T>): Promise<T> {
  return guarded('migrating', async () => {
    const client = new Client({
      connectionString: url,
      application_name: 'streaming-ingest/migrate',
      connectionTimeoutMillis: 10_000,
      keepAlive: true,
    })
    client.on('error', () => undefined) // the statement in flight fails with the same error
    await client.connect()
    try {
      await client.query('set timezone to UTC')
      await client.query('select pg_advisory_lock($1, $2)', [...MIGRATION_LOCK])
      return await work(client)
    } finally {
      // Ending the session frees the lock.
      await client.end()
    }
  })
}

/** `when` of the newest applied migration; null when none was. */
export async function newestMigration(client: Pick<Client, 'query'>): Promise<number | null> {
  const { rows } = await client.query<{ present: boolean }>(
    `select to_regclass('drizzle.__drizzle_migrations') is not null as present`,
  )
  if (rows[0]?.present !== true) return null
  const newest = await client.query<{ when: string | null }>(
    'select max(created_at) as when from drizzle.__drizzle_migrations',
  )
  const when = newest.rows[0]?.when ?? null
  return when === null ? null : Number(when)
}

/** This version's migrations, oldest first. */
export async function readJournal(): Promise<readonly JournalEntry[]> {
  const journal: { entries: JournalEntry[] } = JSON.parse(
    await readFile(`${migrationsFolder()}/meta/_journal.json`, 'utf8'),
  )
  return journal.entries
}

/** From the sources the folder lies two levels up, from the built bundle three: tsc copies no SQL. */
export function migrationsFolder(): string {
  for (const path of ['../../drizzle', '../../../drizzle']) {
    const folder = fileURLToPath(new URL(path, import.meta.url))
    if (existsSync(`${folder}/meta/_journal.json`)) return folder
  }
  throw new ServiceError(
    'INTERNAL',
    'The folder drizzle/ with the migrations is missing from this installation',
  )
}
