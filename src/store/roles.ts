import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto'
import { type Client, escapeIdentifier, escapeLiteral } from 'pg'
import { ServiceError } from '../errors.ts'

/** Member of it is every login role of the application; what it may do stands in drizzle/. */
export const APP_ROLE = 'streaming_ingest_app'

export interface DatabaseUrl {
  readonly user: string
  readonly password: string
  readonly database: string
  /** The same server and user, another database. */
  urlOf(database: string): string
}

/** Throws BAD_REQUEST naming the variable, never what is in it. */
export function parseDatabaseUrl(url: string, variable: string): DatabaseUrl {
  const parsed = URL.parse(url)
  const database = parsed === null ? '' : decodeURIComponent(parsed.pathname.slice(1))
  if (parsed === null || !/^postgres(ql)?:$/.test(parsed.protocol) || database === '')
    throw new ServiceError(
      'BAD_REQUEST',
      `${variable} is not of the form postgres://user:password@host/database`,
      {
        fields: [{ path: variable, message: 'must be a PostgreSQL URL that names a database' }],
      },
    )
  return {
    user: decodeURIComponent(parsed.username),
    password: decodeURIComponent(parsed.password),
    database,
    urlOf(other) {
      const copy = new URL(parsed.href)
      copy.pathname = `/${encodeURIComponent(other)}`
      return copy.href
    },
  }
}

/** The application's database and login role, when they are missing. An existing role keeps its password. */
export async function createMissing(client: Client, admin: DatabaseUrl, app: DatabaseUrl): Promise<void> {
  if (!(await exists(client, 'select from pg_roles where rolname = $1', APP_ROLE)))
    await client.query(`create role ${APP_ROLE} nologin`)
  if (app.user !== '' && app.user !== admin.user) {
    if (!(await exists(client, 'select from pg_roles where rolname = $1', app.user)))
      await client.query(`create role ${escapeIdentifier(app.user)} login${passwordClause(app.password)}`)
    if (!(await exists(client, isMember, app.user)))
      await client.query(`grant ${APP_ROLE} to ${escapeIdentifier(app.user)}`)
  }
  if (!(await exists(client, 'select from pg_database where datname = $1', app.database)))
    await client.query(
      `create database ${escapeIdentifier(app.database)} template template0 encoding 'UTF8' locale 'C'`,
    )
}

const MIN_VERSION = 150_000

/** Throws BAD_REQUEST when the server or the database cannot hold the log. */
export async function checkServer(client: Client): Promise<void> {
  const { rows } = await client.query<{ version: number; release: string; encoding: string }>(
    `select current_setting('server_version_num')::int as version, current_setting('server_version') as release,
            current_setting('server_encoding') as encoding`,
  )
  const server = rows[0]
  if (server === undefined || server.version < MIN_VERSION)
    throw new ServiceError('BAD_REQUEST', `PostgreSQL 15 or newer is needed, this is ${server?.release}`)
  if (server.encoding !== 'UTF8')
    throw new ServiceError(
      'BAD_REQUEST',
      `The database must be encoded in UTF8, this one is in ${server.encoding}`,
    )
}

const isMember = `select from pg_auth_members m
  where m.roleid = '${APP_ROLE}'::regrole and m.member = (select oid from pg_roles where rolname = $1)`

async function exists(client: Client, text: string, name: string): Promise<boolean> {
  const { rowCount } = await client.query(text, [name])
  return rowCount === 1
}

/** A verifier instead of the password: statements land in the server's log. */
const passwordClause = (password: string): string =>
  password === '' ? '' : ` password ${escapeLiteral(scramVerifier(password, randomBytes(16), 4096))}`

/** What PostgreSQL stores for SCRAM-SHA-256 (RFC 5803): it takes it in place of a password. */
export function scramVerifier(password: string, salt: Buffer, iterations: number): string {
  // SASLprep keeps ASCII as it is, and NFKC is what it does to the rest that people use.
  const salted = pbkdf2Sync(password.normalize('NFKC'), salt, iterations, 32, 'sha256')
  const clientKey = createHmac('sha256', salted).update('Client Key').digest()
  const storedKey = createHash('sha256').update(clientKey).digest('base64')
  const serverKey = createHmac('sha256', salted).update('Server Key').digest('base64')
  return `SCRAM-SHA-256$${iterations}:${salt.toString('base64')}$${storedKey}:${serverKey}`
}
