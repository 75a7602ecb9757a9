import type { Client } from 'pg'
import { readHeaders } from '../../src/domain/headers.ts'
import { digestRecord } from './digest.ts'
import type { RecordTable } from './table.ts'

/** What the event log holds, held against what was produced. All zero, and the log is exact. */
export interface LogCheck {
  /** Source records without a row, or with a second one. */
  readonly unaccounted: number
  /** Rows whose key, value, headers or timestamp are not the source's. */
  readonly differing: number
  /** Events that should be dead letters, and the other way round. */
  readonly misjudged: number
  /** Logs whose leaf indexes are not 0, 1, 2… in offset order, or whose row says another size or position. */
  readonly brokenLogs: number
  readonly gaps: number
  readonly deadLetters: ReadonlyMap<string, number>
}

const pageRows = 5_000

interface Row {
  readonly offset: string
  readonly leaf_index: string
  readonly code: string | null
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: Buffer
  readonly kafka_timestamp: string
}

/** Reads every row of the topic's logs, as an auditor would: by SQL. */
export async function checkLog(
  client: Client,
  topic: string,
  tables: readonly RecordTable[],
): Promise<LogCheck> {
  const { rows: logs } = await client.query<{
    id: number
    partition: number
    size: string
    next_offset: string
  }>('select id, partition, size, next_offset from partition_logs where topic = $1', [topic])
  const sum = { unaccounted: 0, differing: 0, misjudged: 0, brokenLogs: 0 }
  const deadLetters = new Map<string, number>()
  const present = new Set(logs.map((log) => log.partition))
  tables.forEach((table, partition) => {
    if (!present.has(partition)) sum.unaccounted += table.size
  })
  for (const log of logs) {
    const table = tables[log.partition]
    if (table === undefined) {
      sum.unaccounted += Number(log.size)
      continue
    }
    const found = await checkRows(client, log.id, table, deadLetters)
    sum.unaccounted += found.unaccounted
    sum.differing += found.differing
    sum.misjudged += found.misjudged
    const whole = Number(log.size) === table.size && Number(log.next_offset) === table.size
    if (!whole || !found.dense) sum.brokenLogs++
  }
  const gaps = await client.query('select from gaps where log_id = any($1)', [logs.map((log) => log.id)])
  return { ...sum, gaps: gaps.rowCount ?? 0, deadLetters }
}

async function checkRows(
  client: Client,
  logId: number,
  table: RecordTable,
  deadLetters: Map<string, number>,
): Promise<{ unaccounted: number; differing: number; misjudged: number; dense: boolean }> {
  let [unaccounted, differing, misjudged, dense] = [0, 0, 0, true]
  const seen = new Uint8Array(table.size)
  let leaves = 0
  for await (const row of rowsOf(client, logId)) {
    if (Number(row.leaf_index) !== leaves++) dense = false
    if (row.code !== null) deadLetters.set(row.code, (deadLetters.get(row.code) ?? 0) + 1)
    const at = table.find(Number(row.offset))
    if (at < 0 || seen[at] === 1) {
      unaccounted++
      continue
    }
    seen[at] = 1
    if (table.differences(at, digestOf(row)).length > 0) differing++
    if (table.isAccepted(at) !== (row.code === null)) misjudged++
  }
  return { unaccounted: unaccounted + seen.filter((one) => one === 0).length, differing, misjudged, dense }
}

const digestOf = (row: Row) =>
  digestRecord({
    key: row.key,
    value: row.value,
    headers: readHeaders(row.headers).map(({ key, value }) => [key, value] as const),
    timestamp: BigInt(row.kafka_timestamp),
  })

/** Events and dead letters of a log together, in offset order, page by page. */
async function* rowsOf(client: Client, logId: number): AsyncGenerator<Row> {
  let after = '-1'
  for (;;) {
    const { rows } = await client.query<Row>(
      `(select "offset", leaf_index, null as code, key, value, headers, kafka_timestamp
          from events where log_id = $1 and "offset" > $2 order by "offset" limit $3)
       union all
       (select "offset", leaf_index, code, key, value, headers, kafka_timestamp
          from dead_letters where log_id = $1 and "offset" > $2 order by "offset" limit $3)
       order by "offset" limit $3`,
      [logId, after, pageRows],
    )
    yield* rows
    const last = rows.at(-1)
    if (last === undefined || rows.length < pageRows) return
    after = last.offset
  }
}
