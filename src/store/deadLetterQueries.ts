import type { Pool } from 'pg'
import { type DeadLetterCode, deadLetterCodes, leafIndex, offset } from '../domain/model.ts'
import { ServiceError } from '../errors.ts'
import type { DeadLetterQuery, Page, StoredDeadLetter } from '../ports.ts'
import { decodeCursor, encodeCursor } from './cursors.ts'

const CURSOR_KIND = 'dead-letters'
const MAX_ITEMS = 1_000
/** Rows that one call looks at, however rare the code it wants. */
const MAX_SCANNED = 20_000
/** Values of one page together: an undecodable batch alone may have megabytes. */
const MAX_BYTES = 16 * 1_048_576

interface KeyRow {
  readonly log_id: number
  readonly offset: string
  readonly matches: boolean
  readonly bytes: number
}

interface DeadLetterRow {
  readonly topic: string
  readonly partition: number
  readonly incarnation: number
  readonly offset: string
  readonly leaf_index: string
  readonly code: string
  readonly detail: string
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: Buffer
  readonly kafka_timestamp: string
  readonly ingested_at: Date
}

/** Dead letters by log and offset; an empty page may still have a cursor. */
export async function findDeadLetters(pool: Pool, query: DeadLetterQuery): Promise<Page<StoredDeadLetter>> {
  if (query.topic?.includes('\u0000') === true) return { items: [], nextCursor: null }
  const keys = await scanKeys(pool, query)
  const limit = Math.min(query.limit, MAX_ITEMS)
  const taken: KeyRow[] = []
  let bytes = 0
  let end: KeyRow | undefined
  for (const key of keys) {
    if (key.matches && (taken.length === limit || (taken.length > 0 && bytes + key.bytes > MAX_BYTES))) break
    end = key
    if (!key.matches) continue
    taken.push(key)
    bytes += key.bytes
  }
  const isLast = keys.length < MAX_SCANNED && end === keys.at(-1)
  return {
    items: taken.length === 0 ? [] : await fetch(pool, taken),
    nextCursor:
      isLast || end === undefined
        ? null
        : encodeCursor(CURSOR_KIND, [BigInt(end.log_id), BigInt(end.offset)]),
  }
}

async function scanKeys(pool: Pool, query: DeadLetterQuery): Promise<readonly KeyRow[]> {
  const [log, at] = query.cursor === undefined ? [-1n, -1n] : decodeCursor(CURSOR_KIND, query.cursor, 2)
  const { rows } = await pool.query<KeyRow>(
    `select d.log_id, d."offset", ($5::text is null or d.code = $5) as matches,
            coalesce(octet_length(d.key), 0) + octet_length(d.headers) + coalesce(octet_length(d.value), 0) as bytes
       from public.dead_letters d
      where (d.log_id, d."offset") > ($1::bigint, $2::bigint)
        and d.log_id = any(array(select id from public.partition_logs
                                  where ($3::text is null or topic = $3) and ($4::int is null or partition = $4)
                                    and ($6::int is null or incarnation = $6)))
      order by d.log_id, d."offset" limit ${MAX_SCANNED}`,
    [
      String(log),
      String(at),
      query.topic ?? null,
      query.partition ?? null,
      query.code ?? null,
      query.incarnation ?? null,
    ],
  )
  return rows
}

async function fetch(pool: Pool, keys: readonly KeyRow[]): Promise<readonly StoredDeadLetter[]> {
  const { rows } = await pool.query<DeadLetterRow>(
    `select l.topic, l.partition, l.incarnation, d."offset", d.leaf_index, d.code, d.detail, d.key, d.value, d.headers,
            d.kafka_timestamp, d.ingested_at
       from unnest($1::int[], $2::bigint[]) as wanted (log_id, at)
       join public.dead_letters d on d.log_id = wanted.log_id and d."offset" = wanted.at
       join public.partition_logs l on l.id = d.log_id
      order by d.log_id, d."offset"`,
    [keys.map((key) => key.log_id), keys.map((key) => key.offset)],
  )
  return rows.map((row) => ({
    topic: row.topic,
    partition: row.partition,
    incarnation: row.incarnation,
    offset: offset(BigInt(row.offset)),
    leafIndex: leafIndex(BigInt(row.leaf_index)),
    code: codeOf(row.code),
    detail: row.detail,
    key: row.key,
    value: row.value,
    headers: row.headers,
    kafkaTimestamp: BigInt(row.kafka_timestamp),
    ingestedAt: row.ingested_at,
  }))
}

function codeOf(text: string): DeadLetterCode {
  const code = deadLetterCodes.find((each) => each === text)
  if (code === undefined)
    throw new ServiceError('INTERNAL', 'A dead letter has a code that this version does not know')
  return code
}
