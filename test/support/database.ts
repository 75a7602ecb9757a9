/**
 * A migrated database per test, cloned from a template in a fraction of a second. The template is made once per
 * version of the migrations and kept; a clone is dropped by its test.
 */
import { createHash, randomUUID } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { Client, escapeIdentifier, Pool } from 'pg'
import { migrate, migrationsFolder } from '../../src/store/migrate.ts'
import { testServers } from './servers.ts'

export interface TestDatabase {
  readonly name: string
  /** As the owner. */
  readonly adminUrl: string
  /** As a login role that is a member of streaming_ingest_app and nothing else. */
  readonly appUrl: string
  drop(): Promise<void>
}

const APP_LOGIN = { user: 'streaming_ingest_test', password: 'test' }
const TEMPLATE_LOCK = 1937010287

/** A fresh database with this version's schema; `prefix` shows in its name. */
export async function createTestDatabase(prefix = 'test'): Promise<TestDatabase> {
  const { databaseAdminUrl } = testServers()
  const name = `${prefix}_${randomUUID().slice(0, 8)}`
  const template = templateName()
  await withClient(databaseAdminUrl, async (client) => {
    // Held while cloning too: a template cannot be cloned while it is being made.
    await client.query('select pg_advisory_lock($1)', [TEMPLATE_LOCK])
    const { rowCount } = await client.query('select from pg_database where datname = $1', [template])
    if (rowCount === 0) await makeTemplate(client, databaseAdminUrl, template)
    await client.query(`create database ${escapeIdentifier(name)} template ${escapeIdentifier(template)}`)
  })
  return {
    name,
    adminUrl: urlOf(databaseAdminUrl, name),
    appUrl: urlOf(databaseAdminUrl, name, APP_LOGIN),
    drop: () =>
      withClient(databaseAdminUrl, async (client) => {
        await client.query(`drop database if exists ${escapeIdentifier(name)} with (force)`)
      }),
  }
}

/** Under another name until it is complete: a run that dies half-way leaves nothing that looks like a template. */
async function makeTemplate(client: Client, adminUrl: string, template: string): Promise<void> {
  const draft = `${template}_draft`
  await client.query(`drop database if exists ${escapeIdentifier(draft)} with (force)`)
  await migrate({ adminUrl, appUrl: urlOf(adminUrl, draft, APP_LOGIN) })
  await client.query(`alter database ${escapeIdentifier(draft)} rename to ${escapeIdentifier(template)}`)
}

function templateName(): string {
  const folder = migrationsFolder()
  const hash = createHash('sha256')
  for (const file of readdirSync(folder).sort()) {
    if (file.endsWith('.sql') && file !== 'schema.sql')
      hash.update(file).update(readFileSync(`${folder}/${file}`))
  }
  return `si_template_${hash.digest('hex').slice(0, 12)}`
}

function urlOf(url: string, database: string, login?: { user: string; password: string }): string {
  const copy = new URL(url)
  copy.pathname = `/${database}`
  if (login !== undefined) {
    copy.username = login.user
    copy.password = login.password
  }
  return copy.href
}

export async function withClient<T>(url: string, work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}

/**
 * A small pool for looking at a test database. `end` does not wait until the sockets are closed, and the database is dropped
 * with force right after it: what the server says to such a connection is of no interest.
 */
export function createTestPool(url: string): Pool {
  const pool = new Pool({ connectionString: url, max: 2 })
  pool.on('connect', (client) => client.on('error', () => undefined))
  return pool
}
