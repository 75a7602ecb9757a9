import type { Client } from 'pg'
import { LogAudit, type LogExpectation, type LogFindings } from './logAudit.ts'
import { inSnapshot, logsOf, nodesOf, rowsOf, type StoredLog } from './logRows.ts'
import type { RecordTable } from './table.ts'

/** What the event log holds, held against what was produced. All zero, and the log is exact. */
export interface LogCheck {
  /** Source records without a row, or with a second one. */
  readonly unaccounted: number
  /** Rows that are not the source's, or do not follow from their own bytes. */
  readonly differing: number
  /** Logs whose leaf indexes are not 0, 1, 2… in offset order, or whose row says another size or position. */
  readonly brokenLogs: number
  readonly gaps: number
  readonly deadLetters: ReadonlyMap<string, number>
  /** The first few findings in words. */
  readonly examples: readonly string[]
}

/** Reads one log to its end, as an auditor would: by SQL. In a transaction, behind `logsOf`. */
export async function auditLog(
  client: Client,
  log: StoredLog,
  expected: LogExpectation,
  signal?: AbortSignal,
): Promise<LogFindings> {
  const audit = new LogAudit(expected)
  for await (const row of rowsOf(client, log.id)) {
    signal?.throwIfAborted()
    audit.add(row)
  }
  for await (const node of nodesOf(client, log.id)) audit.addNode(node)
  return audit.findings(log)
}

/** Holds the logs of a topic that was filled from offset 0 without holes. */
export async function checkLog(
  client: Client,
  topic: string,
  tables: readonly RecordTable[],
): Promise<LogCheck> {
  return inSnapshot(client, async () => {
    const sum = { unaccounted: 0, differing: 0, brokenLogs: 0, gaps: 0 }
    const deadLetters = new Map<string, number>()
    const examples: string[] = []
    const present = new Set<number>()
    for (const log of await logsOf(client, topic)) {
      present.add(log.partition)
      const table = tables[log.partition]
      if (table === undefined) {
        sum.unaccounted += Number(log.size)
        continue
      }
      const found = await auditLog(client, log, { table, start: 0, end: table.size, gaps: [] })
      sum.unaccounted += found.lost + found.doubled
      sum.differing += found.altered
      sum.gaps += found.gaps
      if (found.reordered > 0 || found.problems.length > 0) sum.brokenLogs++
      for (const [code, count] of found.deadLetters)
        deadLetters.set(code, (deadLetters.get(code) ?? 0) + count)
      examples.push(...found.examples, ...found.problems)
    }
    tables.forEach((table, partition) => {
      if (!present.has(partition)) sum.unaccounted += table.size
    })
    return { ...sum, deadLetters, examples }
  })
}
