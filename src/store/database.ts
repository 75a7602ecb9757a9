import type { ConnectionOptions } from 'node:tls'
import { Pool, type PoolClient } from 'pg'
import { ServiceError } from '../errors.ts'
import { createLook, type SilenceLimits, watchSilence } from './silence.ts'

export interface DatabaseOptions {
  /** `postgres://user:password@host:port/database`; its own `application_name` and `options` give way to ours. */
  readonly url: string
  /** Shown in pg_stat_activity, with `/append`, `/read` or `/look` behind it. */
  readonly applicationName?: string
  /** Connections that append; two batches in flight for each of four logs want eight. */
  readonly maxAppenders?: number
  /** Connections for everything else. */
  readonly maxReaders?: number
  /** How long to wait for a connection, made or free. */
  readonly connectTimeoutMs?: number
  /** A read that takes longer is cancelled by the server. */
  readonly statementTimeoutMs?: number
  readonly ssl?: ConnectionOptions
  /** When a connection on which nothing moves is looked into, and given up. */
  readonly silence?: SilenceLimits
  /** An idle connection broke. The pool replaces it; this is for the log. */
  readonly onConnectionLost?: (error: Error) => void
}

/** Two pools on one database: sessions that append are set up differently from those that read. */
export interface Database {
  readonly appenders: Pool
  readonly readers: Pool
  /** Waits for connections in use, at most ten seconds, and closes all. Safe to call twice. */
  close(): Promise<void>
}

export const APPEND_SUFFIX = '/append'
export const READ_SUFFIX = '/read'
const LOOK_SUFFIX = '/look'
/** Long enough for a slow disk, short enough for a queue behind a session that nobody will free. */
export const LOCK_TIMEOUT_MS = 10_000

const CLOSE_TIMEOUT_MS = 10_000

/** Beyond the server's own statement_timeout, in milliseconds. */
const READ_GRACE_MS = 5_000

const commonSettings = {
  idle_in_transaction_session_timeout: '10s',
  // A client that vanished without a word is noticed after 25 s, and its locks are freed.
  tcp_keepalives_idle: '10',
  tcp_keepalives_interval: '5',
  tcp_keepalives_count: '3',
  lock_timeout: `${LOCK_TIMEOUT_MS}ms`,
  timezone: 'UTC',
  default_transaction_isolation: 'read\\ committed',
}

/**
 * Probes and pages must go through their indexes: a fresh partition has no statistics, and the planner then reads all
 * of it, 80–200 ms a batch (design §4).
 */
const planSettings = { enable_seqscan: 'off', enable_bitmapscan: 'off', jit: 'off' }

/** Opens no connection yet. Throws BAD_REQUEST, without the URL in it, when the URL is none. */
export function createDatabase(options: DatabaseOptions): Database {
  const name = options.applicationName ?? 'streaming-ingest'
  const statementTimeout = `${options.statementTimeoutMs ?? 60_000}ms`
  const appenders = createPool(options, options.maxAppenders ?? 8, name + APPEND_SUFFIX, {
    ...commonSettings,
    ...planSettings,
    plan_cache_mode: 'force_generic_plan',
  })
  const readers = createPool(options, options.maxReaders ?? 8, name + READ_SUFFIX, {
    ...commonSettings,
    statement_timeout: statementTimeout,
    ...planSettings,
  })
  limitUse(readers, (options.statementTimeoutMs ?? 60_000) + READ_GRACE_MS)
  const look = createLook({
    connectionString: withoutSessionParameters(options.url),
    application_name: name + LOOK_SUFFIX,
    ...(options.ssl === undefined ? {} : { ssl: options.ssl }),
  })
  watchSilence([appenders, readers], look, options.silence)
  let closing: Promise<void> | null = null
  const close = (): Promise<void> => {
    closing ??= endWithin(CLOSE_TIMEOUT_MS, [appenders, readers])
    return closing
  }
  return { appenders, readers, close }
}

async function endWithin(timeoutMs: number, pools: readonly Pool[]): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const expired = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, timeoutMs)
  })
  await Promise.race([Promise.all(pools.map((pool) => pool.end())), expired])
  clearTimeout(timer)
}

/**
 * Cuts a connection that is in use for longer than `limitMs`: the server's own limits don't reach us when the server, or
 * the network before it, has gone silent.
 */
function limitUse(pool: Pool, limitMs: number): void {
  const watchdogs = new WeakMap<PoolClient, NodeJS.Timeout>()
  pool.on('acquire', (client) => {
    const cut = (): void =>
      void client.connection.stream.destroy(new Error('Connection terminated: no answer in time'))
    watchdogs.set(client, setTimeout(cut, limitMs).unref())
  })
  pool.on('release', (_error, client) => clearTimeout(watchdogs.get(client)))
}

function createPool(
  options: DatabaseOptions,
  max: number,
  applicationName: string,
  settings: Readonly<Record<string, string>>,
): Pool {
  const pool = new Pool({
    connectionString: withoutSessionParameters(options.url),
    application_name: applicationName,
    options: Object.entries(settings)
      .map(([key, value]) => `-c ${key}=${value}`)
      .join(' '),
    max,
    connectionTimeoutMillis: options.connectTimeoutMs ?? 5_000,
    idleTimeoutMillis: 30_000,
    // Bounds what prepared statements pile up in one server process.
    maxLifetimeSeconds: 3_600,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    ...(options.ssl === undefined ? {} : { ssl: options.ssl }),
  })
  pool.on('error', (error) => options.onConnectionLost?.(error))
  // pg reports a broken connection in use on the client as well; the query in flight fails with the same error.
  pool.on('connect', (client) => client.on('error', () => undefined))
  return pool
}

/** What the URL says about sessions would override what the store relies on. */
function withoutSessionParameters(url: string): string {
  const parsed = URL.parse(url)
  if (parsed === null || !/^postgres(ql)?:$/.test(parsed.protocol))
    throw new ServiceError(
      'BAD_REQUEST',
      'The database URL is not of the form postgres://user:password@host/database',
    )
  for (const name of ['application_name', 'options', 'statement_timeout', 'lock_timeout']) {
    parsed.searchParams.delete(name)
  }
  return parsed.href
}
