import type { Socket } from 'node:net'
import { Client, DatabaseError, type Pool, type PoolClient } from 'pg'

export interface SilenceLimits {
  /** Without a byte in either direction for this long, the server is asked. */
  readonly silentMs: number
  /** Between two looks at a connection on which the server waits for us. */
  readonly againMs: number
  /** For a look, its connection included. */
  readonly lookMs: number
}

/** Together with a reconnect, and with the wait for a lock that the dead session held, far below 20 s (design §11). */
const usual: SilenceLimits = { silentMs: 3_000, againMs: 2_000, lookMs: 3_000 }

/**
 * What the server says about a session: it works for us; it waits for us, having taken so many bytes of COPY; it is gone, or
 * the server cannot be reached; or it would not say.
 */
export type ServerSide =
  | { readonly kind: 'working' | 'gone' | 'untold' }
  | { readonly kind: 'waiting'; readonly copied: string }

/** Asks the server about a session, by its process id, within a limit; never fails. */
export type Look = (pid: number, limitMs: number) => Promise<ServerSide>

type AnyClient = PoolClient | Client

/** pg has these and its types don't. */
type BusyClient = AnyClient & { readonly processID: number | null; readonly readyForQuery: boolean | null }

/**
 * Cuts connections on which we wait for the server while the server waits for us: a router that has forgotten a connection
 * drops what is sent on it and tells nobody, and TCP itself gives up after minutes. A server that is merely slow is left
 * alone, which is why it is asked, on a connection of its own. The query under way fails as on any lost connection; what
 * forgot one connection has forgotten others, so idle ones are dropped with it.
 */
export function watchSilence(pools: readonly Pool[], look: Look, limits: SilenceLimits = usual): void {
  const watches = new WeakMap<PoolClient, NodeJS.Timeout>()
  const idle = new Set<PoolClient>()
  const cut = ({ connection }: AnyClient): void => {
    const error = forgotten()
    for (const client of [...idle]) {
      // What pg does when it learns of it: the pool drops the connection at once, before anybody is handed it.
      client.emit('error', error)
      client.connection.stream.destroy()
    }
    connection.stream.destroy(error)
  }
  for (const pool of pools) {
    // One that has nothing to ask counts as heard of, so it can be watched for as long as it lives.
    pool.on('connect', (client) => {
      watches.set(client, watch(client, look, limits, cut))
    })
    pool.on('acquire', (client) => void idle.delete(client))
    pool.on('release', (_error, client) => void idle.add(client))
    pool.on('remove', (client) => {
      clearInterval(watches.get(client))
      idle.delete(client)
    })
  }
}

/** `watchSilence` for one connection that is in no pool, until it is closed. */
export function watchConnection(client: Client, look: Look, limits: SilenceLimits = usual): void {
  const timer = watch(client, look, limits, ({ connection }) => void connection.stream.destroy(forgotten()))
  client.once('end', () => clearInterval(timer))
}

const forgotten = (): Error =>
  new Error('Connection terminated: nothing that was sent on it arrives any more')

const watch = (
  client: AnyClient,
  look: Look,
  limits: SilenceLimits,
  cut: (client: AnyClient) => void,
): NodeJS.Timeout =>
  setInterval(watchOf(client as BusyClient, look, limits, cut), Math.min(1_000, limits.againMs / 2)).unref()

function watchOf(
  client: BusyClient,
  look: Look,
  limits: SilenceLimits,
  cut: (client: AnyClient) => void,
): () => void {
  const stream = client.connection.stream as Socket // or a TLS socket, which is one
  const traffic = (): number => stream.bytesRead + stream.bytesWritten
  let quiet = { traffic: traffic(), sinceMs: performance.now() }
  let lookAtMs = 0
  let before: ServerSide | null = null
  let looking = false
  const start = (): void => {
    quiet = { traffic: traffic(), sinceMs: performance.now() }
    lookAtMs = quiet.sinceMs + limits.silentMs
    before = null
  }
  const see = (found: ServerSide): void => {
    if (quiet.traffic !== traffic() || client.readyForQuery === true) return
    // Twice the same: one look can be slow, or come in the moment in which the session is between two things.
    const isDead =
      (found.kind === 'gone' && before?.kind === 'gone') ||
      (found.kind === 'waiting' && before?.kind === 'waiting' && before.copied === found.copied)
    if (isDead) {
      cut(client)
      return
    }
    before = found
    const isSuspect = found.kind === 'waiting' || found.kind === 'gone'
    lookAtMs = performance.now() + (isSuspect ? limits.againMs : limits.silentMs)
  }
  start()
  return () => {
    if (quiet.traffic !== traffic() || client.readyForQuery === true) start()
    else if (!looking && performance.now() >= lookAtMs && client.processID !== null) {
      looking = true
      void look(client.processID, limits.lookMs)
        .then(see)
        .finally(() => {
          looking = false
        })
    }
  }
}

/** Asks the server about one of our own sessions. Never fails: what goes wrong is an answer too. */
export function createLook(options: ConstructorParameters<typeof Client>[0] & object): Look {
  return async (pid, limitMs) => {
    const client = new Client({ ...options, connectionTimeoutMillis: limitMs, query_timeout: limitMs })
    client.on('error', () => undefined) // the query under way fails as well
    try {
      await client.connect()
      // All of a session's columns but these are hidden from other roles than its own, which is ours.
      const { rows } = await client.query<{ waiting: boolean | null; copied: string }>(
        `select a.wait_event_type = 'Client' and a.wait_event = 'ClientRead' as waiting,
                coalesce(c.bytes_processed, 0)::text as copied
           from pg_stat_activity a left join pg_stat_progress_copy c using (pid) where a.pid = $1`,
        [pid],
      )
      const [row] = rows
      if (row === undefined) return { kind: 'gone' }
      return row.waiting === true ? { kind: 'waiting', copied: row.copied } : { kind: 'working' }
    } catch (error) {
      // Too many connections, or starting up: it is there, and says nothing about the session.
      return { kind: error instanceof DatabaseError ? 'untold' : 'gone' }
    } finally {
      client.connection.stream.destroy()
    }
  }
}
