import type { Pool, PoolClient } from 'pg'
import { sql } from '../../drizzle/orm.ts'
import type { LogId, Offset } from '../domain/model.ts'
import { APPEND_SUFFIX } from './database.ts'
import { type LogRow, logColumns } from './logRows.ts'
import type { Transaction } from './transaction.ts'

/** The log's row, locked, and what else the append must know before it goes on. */
export interface LockedLog extends LogRow {
  /**
   * The newest incarnation as of the statement's start: another than the log when an operator opened one. One that was
   * opened while the statement waited for the lock is not seen; `moveLog` sees it.
   */
  readonly newest_id: number
  /** PostgreSQL's clock, ms. */
  readonly clock_ms: string
  /** A time, ms, before which nothing at or behind the window's start was ingested; null when no node says. */
  readonly window_ms: string | null
}

/** A session that held a log's lock for longer than anybody works on a batch. */
export interface TerminatedBlocker {
  readonly logId: LogId
  readonly pid: number
  readonly waitedMs: number
}

export interface LockPatience {
  /** For asking who blocks us: our own connection is waiting. */
  readonly readers: Pool
  readonly patienceMs: number
  readonly onTerminated: (blocker: TerminatedBlocker) => void
}

/**
 * Locks the log's row. A writer that was stopped inside COPY holds it, and PostgreSQL's own time-outs don't fire while
 * it waits for its client: after `patienceMs` whoever blocks us is terminated, if it is an append session of our own
 * role that waits for its client, not for a lock or for work of the server. The session's lock_timeout ends the wait otherwise, with SQLSTATE 55P03.
 * Null when there is no such row.
 */
export async function lockLog(
  tx: Transaction,
  client: PoolClient,
  log: { readonly id: LogId; readonly windowStart: Offset },
  patience: LockPatience,
): Promise<LockedLog | null> {
  const timer = setInterval(() => {
    terminateBlockers(client, log.id, patience).catch(() => undefined) // lock_timeout reports the wait
  }, patience.patienceMs)
  try {
    // NO KEY: a checkpoint that refers to the row need not wait for an append, nor an append for it.
    const { rows } = await tx.execute<LockedLog>(sql`
      select ${logColumns},
             (select n.id from public.partition_logs n
               where n.topic = l.topic and n.partition = l.partition
               order by n.incarnation desc limit 1) as newest_id,
             (extract(epoch from date_trunc('milliseconds', clock_timestamp())) * 1000)::bigint as clock_ms,
             (select (extract(epoch from b.ingested_at) * 1000)::bigint from public.log_nodes b
               where b.log_id = l.id and b.level = 8 and b.end_offset <= ${log.windowStart}::bigint
               order by b.end_offset desc limit 1) as window_ms
        from public.partition_logs l where l.id = ${log.id} for no key update of l`)
    return rows[0] ?? null
  } finally {
    clearInterval(timer)
  }
}

async function terminateBlockers(client: PoolClient, id: LogId, patience: LockPatience): Promise<void> {
  const { processID } = client as PoolClient & { readonly processID: number }
  const { rows } = await patience.readers.query<{ pid: number; ended: boolean }>(
    `select pid, pg_terminate_backend(pid) as ended from pg_stat_activity
      where pid = any(pg_blocking_pids($1::int)) and usename = current_user and datname = current_database()
        and application_name like '%' || $2 and wait_event_type is distinct from 'Lock'
        and (state like 'idle in transaction%' or wait_event = 'ClientRead')
        and xact_start < clock_timestamp() - $3 * interval '1 millisecond'`,
    [processID, APPEND_SUFFIX, patience.patienceMs],
  )
  for (const { pid, ended } of rows) {
    if (ended) patience.onTerminated({ logId: id, pid, waitedMs: patience.patienceMs })
  }
}
