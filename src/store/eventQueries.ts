import type { Pool } from 'pg'
import {
  type Classification,
  classifications,
  type Hash,
  type LogId,
  leafIndex,
  logId,
  type Offset,
  offset,
} from '../domain/model.ts'
import { ServiceError } from '../errors.ts'
import type { EventPlace, EventQuery, Page, StoredEvent } from '../ports.ts'
import { direct } from './bufferMethods.ts'
import { isUuid } from './checkpoints.ts'
import { decodeCursor, encodeCursor } from './cursors.ts'
import { detachedDays, detachedIn, firstAway } from './detached.ts'
import { smaller } from './int8.ts'
import { nextWindow, windowCondition } from './readPage.ts'

const CURSOR_KIND = 'events'
const MAX_ITEMS = 1_000
/** What one call may look at, however rare what it wants; then it returns what it has, and a cursor. */
const MAX_WINDOWS = 64
const WINDOW = { maxScanned: 4_096, maxBytes: 8 * 1_048_576 }
/** Keys, values and headers of one answer, about. */
const MAX_BYTES = 16 * 1_048_576
const MAX_BY_ID = 100

interface EventRow {
  readonly log_id: number
  readonly topic: string
  readonly topic_id: string
  readonly partition: number
  readonly incarnation: number
  readonly start_offset: string
  readonly offset: string
  readonly leaf_index: string
  readonly id: string
  readonly type: string
  readonly source: string
  readonly tenant_id: string | null
  readonly event_time: string
  readonly kafka_timestamp: string
  readonly classification: string
  readonly policy_tags: string[]
  readonly key: Buffer | null
  readonly value: Buffer
  readonly headers: Buffer
  readonly content_hash: Buffer
  readonly leaf_hash: Buffer
  readonly ingested_at: Date
}

const columns = `e.log_id, l.topic, l.topic_id, l.partition, l.incarnation, l.start_offset, e."offset", e.leaf_index, e.id, e.type, e.source, e.tenant_id, e.event_time,
  e.kafka_timestamp, e.classification, e.policy_tags, e.key, e.value, e.headers, e.content_hash, e.leaf_hash,
  e.ingested_at`

const hashOf = (bytes: Buffer): Hash => direct(bytes).latin1Slice(0, bytes.length) as Hash

const storedEvent = (row: EventRow): StoredEvent => ({
  logId: logId(row.log_id),
  topic: row.topic,
  topicId: row.topic_id,
  partition: row.partition,
  incarnation: row.incarnation,
  startOffset: offset(BigInt(row.start_offset)),
  offset: offset(BigInt(row.offset)),
  leafIndex: leafIndex(BigInt(row.leaf_index)),
  id: row.id,
  type: row.type,
  source: row.source,
  tenantId: row.tenant_id,
  timestampMs: Number(row.event_time),
  kafkaTimestamp: BigInt(row.kafka_timestamp),
  classification: classificationOf(row.classification),
  policyTags: row.policy_tags,
  key: row.key,
  value: row.value,
  headers: row.headers,
  contentHash: hashOf(row.content_hash),
  leafHash: hashOf(row.leaf_hash),
  ingestedAt: row.ingested_at,
})

function classificationOf(text: string): Classification {
  const known = classifications.find((each) => each === text)
  // Never shown as something lower than it is.
  if (known === undefined) throw new ServiceError('LOG_DAMAGED', 'An event has an unknown classification')
  return known
}

interface LogSpan {
  readonly id: LogId
  readonly from: Offset
  readonly to: Offset
}

/**
 * Events by log and offset, all incarnations of a topic; an empty page may still have a cursor. What went away with a detached
 * day cannot be listed, nor passed over: what lies before it comes first, and the next answer says so. Throws DETACHED.
 */
export async function findEvents(pool: Pool, query: EventQuery): Promise<Page<StoredEvent>> {
  if (!isStorable(query)) return { items: [], nextCursor: null }
  const budget: Budget = { limit: Math.min(query.limit, MAX_ITEMS), windows: MAX_WINDOWS, bytes: MAX_BYTES }
  const items: StoredEvent[] = []
  for (const span of await spansOf(pool, query)) {
    const away = await firstAway(pool, span.id, span)
    const end = away === null ? span.to : offset(away)
    const at = await listSpan(pool, { ...span, to: end }, query, budget, items)
    // A day that was detached while its events were read: what was read of it is no whole.
    if (span.from < at && (await firstAway(pool, span.id, { from: span.from, to: at })) !== null)
      throw new ServiceError('DATABASE_UNAVAILABLE', 'A day was detached while its events were read')
    if (at >= span.to) continue
    if (at < end || items.length > 0)
      return { items, nextCursor: encodeCursor(CURSOR_KIND, [BigInt(span.id), at]) }
    const detached = await detachedIn(pool, span.id, { fromOffset: at, toOffset: span.to })
    throw (
      detached ??
      new ServiceError('DATABASE_UNAVAILABLE', 'A day was attached again while its events were read')
    )
  }
  return { items, nextCursor: null }
}

/** What is left of what one call may look at. */
interface Budget {
  readonly limit: number
  windows: number
  bytes: number
}

/** Adds what it finds to `items`; returns how far it came. */
async function listSpan(
  pool: Pool,
  { id, from, to }: LogSpan,
  query: EventQuery,
  budget: Budget,
  items: StoredEvent[],
): Promise<Offset> {
  let at = from
  while (at < to) {
    const wanted = budget.limit - items.length
    if (wanted === 0 || budget.windows === 0 || budget.bytes < 0) return at
    budget.windows--
    const next = await nextWindow(pool, { ...WINDOW, logId: id, from: at, to })
    if (next === null) return to
    const found = await eventsIn(pool, windowCondition(next.window), query, wanted)
    items.push(...found)
    budget.bytes -= found.reduce((sum, event) => sum + bytesOf(event), 0)
    const last = found.at(-1)
    at = found.length === wanted && last !== undefined ? offset(last.offset + 1n) : next.window.to
  }
  return at
}

const bytesOf = ({ key, value, headers }: StoredEvent): number =>
  (key?.length ?? 0) + value.length + headers.length

/** No column holds such text, so no event matches it. */
const isStorable = ({ type, source, tenantId, topic }: EventQuery): boolean =>
  [type, source, tenantId, topic].every(
    (text) => text === undefined || (text.isWellFormed() && !text.includes('\u0000')),
  )

async function spansOf(pool: Pool, query: EventQuery): Promise<readonly LogSpan[]> {
  const [firstLog, firstOffset] =
    query.cursor === undefined ? [0n, 0n] : decodeCursor(CURSOR_KIND, query.cursor, 2)
  const { rows } = await pool.query<{ id: number; next_offset: string }>(
    `select id, next_offset from public.partition_logs
      where ($1::text is null or topic = $1) and ($2::int is null or partition = $2)
        and ($3::int is null or incarnation = $3) and id >= $4::bigint
      order by id`,
    [query.topic ?? null, query.partition ?? null, query.incarnation ?? null, String(firstLog)],
  )
  return rows.map((row) => {
    const start = BigInt(row.id) === firstLog ? (firstOffset ?? 0n) : 0n
    const from = query.fromOffset !== undefined && query.fromOffset > start ? query.fromOffset : offset(start)
    const head = offset(BigInt(row.next_offset))
    return { id: logId(row.id), from, to: smaller(head, query.toOffset ?? head) }
  })
}

async function eventsIn(
  pool: Pool,
  condition: string,
  query: EventQuery,
  limit: number,
): Promise<readonly StoredEvent[]> {
  const { rows } = await pool.query<EventRow>(
    `select ${columns}
       from (select * from public.events where ${condition}
                and ($1::text is null or type = $1) and ($2::text is null or source = $2)
                and ($3::text is null or tenant_id = $3) and ($4::text is null or classification = $4)
              order by "offset" limit $5) e
       join public.partition_logs l on l.id = e.log_id order by e."offset"`,
    [query.type ?? null, query.source ?? null, query.tenantId ?? null, query.classification ?? null, limit],
  )
  return rows.map(storedEvent)
}

/**
 * One index probe per partition of `events`; at most 100 events with the id. When there are none, and days are detached, nobody
 * can say that no log holds it: throws EVENT_NOT_FOUND with that.
 */
export async function findEventsById(
  pool: Pool,
  id: string,
  where: EventPlace,
): Promise<readonly StoredEvent[]> {
  if (!isUuid(id) || where.topic?.includes('\u0000') === true) return []
  const { rows } = await pool.query<EventRow>(
    `select ${columns} from public.events e join public.partition_logs l on l.id = e.log_id
      where e.id = $1 and ($2::text is null or l.topic = $2) and ($3::int is null or l.partition = $3)
        and ($4::int is null or l.incarnation = $4) and ($5::bigint is null or e."offset" = $5)
      order by e.log_id, e."offset" limit ${MAX_BY_ID}`,
    [
      id,
      where.topic ?? null,
      where.partition ?? null,
      where.incarnation ?? null,
      where.offset === undefined ? null : String(where.offset),
    ],
  )
  const away = rows.length === 0 ? await detachedDays(pool) : null
  if (away === null) return rows.map(storedEvent)
  throw new ServiceError(
    'EVENT_NOT_FOUND',
    `No log holds an event ${id} now. ${away.days} days from ${away.first} to ${away.last} are detached: their archives may hold it`,
  )
}
