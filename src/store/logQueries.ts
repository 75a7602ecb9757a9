import type { NodePgDatabase } from 'drizzle-orm/node-postgres'
import { sql } from '../../drizzle/orm.ts'
import type { ListedLog, LogQuery, Page } from '../ports.ts'
import { decodeCursor, encodeCursor } from './cursors.ts'
import { type LogRow, logColumns, logState } from './logRows.ts'

const CURSOR_KIND = 'logs'
const MAX_ITEMS = 1_000

/** Logs in the order in which they were opened, so that a page never changes what an earlier one held. */
export async function findLogs(db: NodePgDatabase, query: LogQuery): Promise<Page<ListedLog>> {
  if (query.topic?.includes('\u0000') === true) return { items: [], nextCursor: null }
  const [after] = query.cursor === undefined ? [0n] : decodeCursor(CURSOR_KIND, query.cursor, 1)
  const limit = Math.min(query.limit, MAX_ITEMS)
  const { rows } = await db.execute<LogRow & { readonly superseded: boolean }>(sql`
    select ${logColumns},
           exists (select from public.partition_logs n where n.topic = l.topic and n.partition = l.partition
                      and n.incarnation > l.incarnation) as superseded
      from public.partition_logs l
     where l.id > ${after}::bigint
       and (${query.topic ?? null}::text is null or l.topic = ${query.topic ?? null})
       and (${query.partition ?? null}::int is null or l.partition = ${query.partition ?? null})
     order by l.id limit ${limit + 1}`)
  const page = rows.slice(0, limit)
  const last = page.at(-1)
  const isLast = rows.length <= limit || last === undefined
  return {
    items: page.map((row) => ({ ...logState(row), superseded: row.superseded })),
    nextCursor: isLast ? null : encodeCursor(CURSOR_KIND, [BigInt(last.id)]),
  }
}
