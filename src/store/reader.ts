import { drizzle, sql } from '../../drizzle/orm.ts'
import type { EventLogReader } from '../ports.ts'
import type { Database } from './database.ts'
import { guarded } from './failure.ts'
import { type LogRow, logColumns, logState } from './logRows.ts'
import { consistencyOf, inclusionOf } from './proofs.ts'
import { countRange, rootAt, sizeAt } from './ranges.ts'
import { readPage } from './readPage.ts'

/** Reads committed rows; every statement is bounded in rows, bytes and partitions. */
export function createEventLogReader(database: Database): EventLogReader {
  const pool = database.readers
  const db = drizzle(pool)
  return {
    logsOf: (topic) =>
      guarded('listing the logs of a topic', async () => {
        const { rows } = await db.execute<LogRow>(sql`
          select distinct on (l.partition) ${logColumns} from public.partition_logs l
           where l.topic = ${topic} order by l.partition, l.incarnation desc`)
        return rows.map(logState)
      }),
    logById: (id) =>
      guarded('looking for a log', async () => {
        const { rows } = await db.execute<LogRow>(
          sql`select ${logColumns} from public.partition_logs l where l.id = ${id}`,
        )
        return rows[0] === undefined ? null : logState(rows[0])
      }),
    readPage: (request) => guarded('reading a page of events', () => readPage(pool, request)),
    countRange: (id, from, to, filters) =>
      guarded('counting events', () => countRange(pool, id, from, to, filters)),
    sizeAt: (id, at) => guarded('counting leaves', () => sizeAt(pool, id, at)),
    rootAt: (id, size) => guarded('computing a root', () => rootAt(pool, id, size)),
    inclusionProof: (id, index, size) =>
      guarded('proving inclusion', () => inclusionOf(pool, id, index, size)),
    consistencyProof: (id, oldSize, size) =>
      guarded('proving consistency', () => consistencyOf(pool, id, oldSize, size)),
  }
}
