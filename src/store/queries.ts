import { drizzle, sql } from '../../drizzle/orm.ts'
import { operatorActions } from '../../drizzle/schema.ts'
import type { OperatorAction, QueryStore } from '../ports.ts'
import type { Database } from './database.ts'
import { findDeadLetters } from './deadLetterQueries.ts'
import { findEvents, findEventsById } from './eventQueries.ts'
import { guarded } from './failure.ts'
import { findLogs } from './logQueries.ts'
import { type LogRow, logColumns, logState } from './logRows.ts'
import { goneLogs, namedLogs } from './verification/namedLogs.ts'

/** What people look at. Every answer is bounded, and says by its cursor where to go on. */
export function createQueryStore(database: Database): QueryStore {
  const pool = database.readers
  const db = drizzle(pool)
  return {
    findEvents: (query) => guarded('looking for events', () => findEvents(pool, query)),
    findEventsById: (id, where) => guarded('looking for an event', () => findEventsById(pool, id, where)),
    findLogs: (query) => guarded('looking for logs', () => findLogs(db, query)),
    findDeadLetters: (query) => guarded('looking for dead letters', () => findDeadLetters(pool, query)),
    recordAction: (action) =>
      guarded('recording an action', async () => {
        await db.insert(operatorActions).values(storableAction(action))
      }),
    allLogs: () =>
      guarded('listing logs', async () => {
        const { rows } = await db.execute<LogRow>(
          sql`select ${logColumns} from public.partition_logs l order by l.id`,
        )
        return rows.map(logState)
      }),
    namedLogs: () => guarded('listing logs', () => namedLogs(pool)),
    goneLogs: () => guarded('looking for logs that are gone', () => goneLogs(pool)),
  }
}

/** What people send as a name must not keep the action from being recorded. */
const storableAction = (action: OperatorAction) => ({
  actor: storable(action.actor),
  action: storable(action.action),
  target: storable(action.target),
  outcome: storable(action.outcome),
  requestId: storable(action.requestId),
  detail: action.detail ?? null,
})

const storable = (text: string): string => text.replaceAll('\u0000', '\ufffd')
