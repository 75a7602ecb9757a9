/** The rows of a log for verification: by key, in bounded pages, without trust in the sparse index that replays go by. */
import type { Pool } from 'pg'
import type { Hash, LogId, SourceRecords } from '../../domain/model.ts'
import type {
  EarlierEvent,
  StoredDeadLetterRow,
  StoredEventRow,
  StoredGapRow,
} from '../../domain/verification/deriveRow.ts'
import type { EventRowsRequest, RowsRequest, TimeSpan } from '../../ports.ts'
import { direct } from '../bufferMethods.ts'
import { CopyOut } from '../copyOut.ts'
import { numberLiteral, textLiteral } from '../literals.ts'
import { standingSpans, tableOf } from './detachedRows.ts'
import { AUDIT_COLUMNS, EventRowView } from './eventRow.ts'

const instant = (text: string): string => `timestamptz ${textLiteral(text)}`

/**
 * Spans of ingestion time that hold events of the log, in order. They are cut where partitions begin, and together they are
 * all of time, so that no row can hide in a partition that should not be there. Tables of detached days are spans of their own.
 */
export async function auditSpans(pool: Pool, id: LogId): Promise<readonly TimeSpan[]> {
  const { rows } = await pool.query<{ from: string; to: string }>(
    `with cuts as (
       select distinct (regexp_match(pg_get_expr(c.relpartbound, c.oid), 'FROM \\(''([^'']+)''\\)'))[1]::timestamptz as at
         from pg_catalog.pg_inherits i join pg_catalog.pg_class c on c.oid = i.inhrelid
        where i.inhparent = 'public.events'::regclass
       union select timestamptz '-infinity'
     ), spans as (
       select at as "from", coalesce(lead(at) over (order by at), timestamptz 'infinity') as "to" from cuts where at is not null
     )
     select "from"::text, "to"::text from spans
      where exists (select from public.events e
                     where e.log_id = $1 and e.ingested_at >= spans."from"
                       and (e.ingested_at < spans."to" or spans."to" = 'infinity'))
      order by spans."from"`,
    [id],
  )
  const standing = await standingSpans(pool, id)
  return standing.length === 0
    ? rows
    : [...rows, ...standing].sort((one, other) => (one.from < other.from ? -1 : 1))
}

/** Exported for the test that looks at its plan. */
export const auditEventsText = ({ logId, span, from, below, maxRows }: EventRowsRequest): string =>
  `select ${AUDIT_COLUMNS} from ${tableOf(span)} where log_id = ${numberLiteral(logId)} ` +
  `and "offset" >= ${numberLiteral(from)} and "offset" < ${numberLiteral(below)} ` +
  (span.table !== undefined
    ? ''
    : `and ingested_at >= ${instant(span.from)}` +
      (span.to === 'infinity' ? '' : ` and ingested_at < ${instant(span.to)}`)) +
  ` order by "offset" limit ${numberLiteral(maxRows)}`

/** Calls `visit` for each row in the order of the offsets, while it stands in the connection's own memory. */
export async function auditEvents(
  pool: Pool,
  request: EventRowsRequest,
  visit: (row: StoredEventRow) => void,
): Promise<number> {
  const view = new EventRowView()
  let rows = 0
  const copy = new CopyOut(`copy (${auditEventsText(request)}) to stdout (format binary)`, (bytes, at) => {
    rows++
    view.enter(bytes, at)
    visit(view)
  })
  const client = await pool.connect()
  let failure: Error | undefined
  try {
    await client.query(copy).finished
  } catch (error) {
    failure = error instanceof Error ? error : new Error(String(error))
    throw failure
  } finally {
    client.release(failure)
  }
  return rows
}

interface DeadLetterRow {
  readonly offset: string
  readonly last_offset: string
  readonly leaf_index: string
  readonly kafka_timestamp: string
  readonly code: string
  readonly detail: string
  readonly key: Buffer | null
  readonly headers: Buffer
  readonly value: Buffer | null
  readonly leaf_hash: Buffer
  readonly ingested_ms: string
}

/** At least one row, if there is one, and no more than about `maxBytes`. */
export async function auditDeadLetters(
  pool: Pool,
  { logId, from, below, maxRows }: RowsRequest,
  maxBytes: number,
): Promise<readonly StoredDeadLetterRow[]> {
  const { rows } = await pool.query<DeadLetterRow>(
    `select "offset", last_offset, leaf_index, kafka_timestamp, code, detail, key, headers, value, leaf_hash,
            extract(epoch from ingested_at) * 1000 as ingested_ms
       from (select d.*, sum(coalesce(octet_length(value), 0)::bigint) over (order by "offset" rows unbounded preceding)
                         - coalesce(octet_length(value), 0) as before
               from (select * from public.dead_letters
                      where log_id = $1 and "offset" >= $2 and "offset" < $3 order by "offset" limit $4) d) sized
      where before < $5 order by "offset"`,
    [logId, from.toString(), below.toString(), maxRows, maxBytes],
  )
  return rows.map((row) => {
    const records = oneRecord(row)
    return {
      records,
      offset: BigInt(row.offset),
      lastOffset: BigInt(row.last_offset),
      leafIndex: BigInt(row.leaf_index),
      leafHash: hashOf(row.leaf_hash),
      code: row.code,
      detail: row.detail,
      ingestedMs: Number(row.ingested_ms),
      bytes: bytesOf(row),
    }
  })
}

/** What ingest counts: key, headers and value of a record; of a batch nothing but the batch. */
const bytesOf = ({ code, key, headers, value }: DeadLetterRow): number =>
  code === 'UNDECODABLE_BATCH'
    ? (value?.length ?? 0)
    : (key?.length ?? 0) + headers.length + (value?.length ?? 0)

function oneRecord({ offset, kafka_timestamp, key, headers, value }: DeadLetterRow): SourceRecords {
  const bytes = Buffer.concat([key ?? Buffer.alloc(0), headers, value ?? Buffer.alloc(0)])
  const keyEnd = key?.length ?? 0
  const headersEnd = keyEnd + headers.length
  const place = (start: number, present: boolean): Int32Array => Int32Array.of(present ? start : -1)
  return {
    bytes,
    count: 1,
    offsets: BigInt64Array.of(BigInt(offset)),
    timestamps: BigInt64Array.of(BigInt(kafka_timestamp)),
    keyStarts: place(0, key !== null),
    keyEnds: place(keyEnd, key !== null),
    headerStarts: Int32Array.of(keyEnd),
    headerEnds: Int32Array.of(headersEnd),
    valueStarts: place(headersEnd, value !== null),
    valueEnds: place(bytes.length, value !== null),
  }
}

export async function auditGaps(
  pool: Pool,
  { logId, from, below, maxRows }: RowsRequest,
): Promise<readonly StoredGapRow[]> {
  const { rows } = await pool.query<{
    from_offset: string
    to_offset: string
    leaf_index: string
    leaf_hash: Buffer
    ingested_ms: string
  }>(
    `select from_offset, to_offset, leaf_index, leaf_hash, extract(epoch from ingested_at) * 1000 as ingested_ms
       from public.gaps where log_id = $1 and from_offset >= $2 and from_offset < $3 order by from_offset limit $4`,
    [logId, from.toString(), below.toString(), maxRows],
  )
  return rows.map((row) => ({
    from: BigInt(row.from_offset),
    to: BigInt(row.to_offset),
    leafIndex: BigInt(row.leaf_index),
    leafHash: hashOf(row.leaf_hash),
    ingestedMs: Number(row.ingested_ms),
  }))
}

/** Events of the log with one of the ids. */
export async function eventsWithIds(
  pool: Pool,
  id: LogId,
  ids: readonly string[],
): Promise<readonly EarlierEvent[]> {
  const standing = (await standingSpans(pool, id)).map(
    (span) =>
      ` union all select e.id, e."offset", e.content_hash from ${tableOf(span)} e where e.id = any($2::uuid[]) and e.log_id + 0 = $1`,
  )
  const { rows } = await pool.query<{ id: string; offset: string; content_hash: Buffer }>(
    // `+ 0` keeps the planner off the index on (log, offset): by it the whole log would be read.
    `select e.id, e."offset", e.content_hash from public.partition_logs l
       join public.events e on e.id = any($2::uuid[]) and e.log_id + 0 = l.id
        and e.ingested_at >= l.created_at and e.ingested_at <= coalesce(l.last_ingested_at, l.created_at)
      where l.id = $1${standing.join('')}`,
    [id, ids],
  )
  return rows.map((row) => ({
    id: row.id,
    offset: BigInt(row.offset),
    contentHash: hashOf(row.content_hash),
  }))
}

export const hashOf = (bytes: Buffer): Hash => direct(bytes).latin1Slice(0, bytes.length) as Hash
