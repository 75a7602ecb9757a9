import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { Client, escapeIdentifier } from 'pg'
import { afterAll, expect, test } from 'vitest'
import { migrate } from '../../src/store/migrate.ts'
import { scramVerifier } from '../../src/store/roles.ts'
import { withClient } from '../support/database.ts'
import { testServers } from '../support/servers.ts'

const { databaseAdminUrl } = testServers()
const made: { database: string; role: string }[] = []

/** A URL of a database and a role that do not exist yet. */
function newAppUrl(password: string): { url: string; database: string; role: string } {
  const name = randomUUID().slice(0, 8)
  const names = { database: `store_migrate "${name}"`, role: `store migrate '${name}` }
  made.push(names)
  const url = new URL(databaseAdminUrl)
  url.username = encodeURIComponent(names.role)
  url.password = encodeURIComponent(password)
  url.pathname = `/${encodeURIComponent(names.database)}`
  return { url: url.href, ...names }
}

afterAll(async () => {
  await withClient(databaseAdminUrl, async (client) => {
    for (const { database, role } of made) {
      await client.query(`drop database if exists ${escapeIdentifier(database)} with (force)`)
      await client.query(`drop role if exists ${escapeIdentifier(role)}`)
    }
  })
})

test('many processes may migrate at once; each migration is applied once', async () => {
  const { url, database } = newAppUrl('s3cret')
  const results = await Promise.all(
    Array.from({ length: 5 }, () => migrate({ adminUrl: databaseAdminUrl, appUrl: url })),
  )
  expect(results.map((result) => result.database)).toEqual(Array.from({ length: 5 }, () => database))
  const tags = results.flatMap((result) => result.applied)
  expect(tags.length).toBeGreaterThan(1)
  expect(new Set(tags).size).toBe(tags.length)
  expect(await migrate({ adminUrl: databaseAdminUrl, appUrl: url })).toEqual({ database, applied: [] })
})

test('the login role that it makes can log in with its password and do what the application does', async () => {
  const { url, role } = newAppUrl("p'ss \\ wörd@:/")
  await migrate({ adminUrl: databaseAdminUrl, appUrl: url })
  await withClient(url, async (client) => {
    await client.query('select from partition_logs')
    await client.query('select ensure_partition(current_date)')
    await expect(client.query('delete from events')).rejects.toMatchObject({ code: '42501' })
  })
  const { rows } = await withClient(databaseAdminUrl, (client) =>
    client.query('select rolpassword as stored from pg_authid where rolname = $1', [role]),
  )
  const [, salt] = /^SCRAM-SHA-256\$4096:([^$]+)\$/.exec(rows[0].stored) ?? []
  expect(rows[0].stored).toBe(scramVerifier("p'ss \\ wörd@:/", Buffer.from(salt ?? '', 'base64'), 4096))
})

test('an error names no URL and no password', async () => {
  const hidden = 'hunter2hunter2'
  const unreachable = `postgres://someone:${hidden}@127.0.0.1:1/nowhere`
  for (const options of [
    { adminUrl: unreachable },
    { adminUrl: databaseAdminUrl, appUrl: `mysql://someone:${hidden}@127.0.0.1/x` },
    { adminUrl: `${hidden} is no url` },
    { adminUrl: databaseAdminUrl, appUrl: `postgres://someone:${hidden}@127.0.0.1/` },
  ]) {
    const error: Error = await migrate(options).then(
      () => new Error('migrated'),
      (reason: Error) => reason,
    )
    expect(error).toMatchObject({ code: expect.stringMatching(/^(BAD_REQUEST|DATABASE_UNAVAILABLE)$/) })
    expect(`${error.stack} ${error.message}`).not.toContain(hidden)
  }
})

const cli = async (environment: Record<string, string>) => {
  const script = fileURLToPath(new URL('../../src/store/migrate-cli.ts', import.meta.url))
  const env = { ...process.env, DATABASE_URL: '', DATABASE_ADMIN_URL: '', ...environment }
  try {
    const { stdout } = await promisify(execFile)(process.execPath, [script], { env })
    return { code: 0, stdout, stderr: '' }
  } catch (error) {
    return error as { code: number; stdout: string; stderr: string }
  }
}

test('the command prints a line per migration and ends with 0, 1 or 2', async () => {
  const { url, database } = newAppUrl('cli')
  const first = await cli({ DATABASE_ADMIN_URL: databaseAdminUrl, DATABASE_URL: url })
  expect(first.stdout).toMatch(/^applied 0000_event_log to .*\napplied 0001_append_only to /)
  expect(first.stdout).toContain(database)
  const second = await cli({ DATABASE_ADMIN_URL: databaseAdminUrl, DATABASE_URL: url })
  expect(second).toMatchObject({ code: 0, stdout: expect.not.stringContaining('applied') })
  expect(await cli({})).toMatchObject({ code: 2, stderr: expect.stringContaining('DATABASE_ADMIN_URL') })
  expect(await cli({ DATABASE_ADMIN_URL: 'not a url' })).toMatchObject({ code: 2 })
  expect(await cli({ DATABASE_ADMIN_URL: 'postgres://nobody:pw@127.0.0.1:1/x' })).toMatchObject({
    code: 1,
    stderr: expect.not.stringContaining('pw@'),
  })
})

test('an admin that may not create anything is told so', async () => {
  const { url } = newAppUrl('x')
  await migrate({ adminUrl: databaseAdminUrl, appUrl: url })
  const poor = new URL(url)
  const { url: other } = newAppUrl('y')
  await expect(migrate({ adminUrl: poor.href, appUrl: other })).rejects.toMatchObject({
    code: 'SCHEMA_OUTDATED',
  })
  const client = new Client({ connectionString: databaseAdminUrl })
  await client.connect()
  await client.end()
})
