import type { NodePgDatabase } from 'drizzle-orm/node-postgres'
import type { Pool, PoolClient } from 'pg'
import { drizzle } from '../../drizzle/orm.ts'
import { ServiceError } from '../errors.ts'
import { isLostConnection } from './failure.ts'

/** What Drizzle hands to the work of a transaction. */
export type Transaction = Parameters<Parameters<NodePgDatabase['transaction']>[0]>[0]

/** Thrown by the work of a transaction to roll back and return `outcome`. */
export class Abandoned<T> extends Error {
  readonly outcome: T

  constructor(outcome: T) {
    super('rolled back on purpose')
    this.outcome = outcome
  }
}

/**
 * A Drizzle transaction on a connection of its own; `client` is the same connection, for COPY. A transaction that
 * takes longer than `timeoutMs` loses its connection, since the server's time-outs don't fire while it waits for us.
 * Errors come through as pg and Drizzle throw them; the connection is thrown away unless it is known to be clean.
 */
export async function inTransaction<T>(
  pool: Pool,
  timeoutMs: number,
  work: (tx: Transaction, client: PoolClient) => Promise<T>,
): Promise<T> {
  const client = await pool.connect()
  const lost = Promise.withResolvers<never>()
  lost.promise.catch(() => undefined) // nobody may be waiting any more
  client.once('error', lost.reject)
  const watchdog = setTimeout(() => {
    client.connection.stream.destroy(new Error('Connection terminated: the transaction took too long'))
  }, timeoutMs)
  let first: unknown
  let clean = false
  try {
    const result = await drizzle(client).transaction(
      async (tx) => {
        try {
          // The work may be waiting for something else than the database.
          return await Promise.race([work(tx, client), lost.promise])
        } catch (error) {
          // ROLLBACK on a broken connection fails too, and would hide why.
          first = error
          throw error
        }
      },
      { isolationLevel: 'read committed' },
    )
    clean = true
    return result
  } catch (error) {
    clean = client.getTransactionStatus() === 'I' && !isLostConnection(error)
    const cause = first ?? error
    if (cause instanceof Abandoned) return cause.outcome as T
    throw cause
  } finally {
    clearTimeout(watchdog)
    client.off('error', lost.reject)
    client.release(!clean)
  }
}

/** A row of raw SQL, or INTERNAL when there is none. */
export function onlyRow<T>(rows: readonly T[], what: string): T {
  const row = rows[0]
  if (row === undefined) throw new ServiceError('INTERNAL', `${what} is gone`)
  return row
}
