import type { Client } from 'pg'

/** What every row of a log has, whatever kind it is. */
interface Place {
  readonly offset: bigint
  readonly leafIndex: bigint
  readonly leafHash: Buffer
  readonly ingestedAtMs: number
}

interface RecordBytes {
  readonly key: Buffer | null
  readonly headers: Buffer
  readonly kafkaTimestamp: bigint
}

export interface EventRow extends Place, RecordBytes {
  readonly kind: 'event'
  readonly value: Buffer
  readonly id: string
  readonly type: string
  readonly source: string
  readonly tenantId: string | null
  readonly eventTime: bigint
  readonly classification: string
  readonly policyTags: readonly string[]
  readonly contentHash: Buffer
}

export interface DeadLetterRow extends Place, RecordBytes {
  readonly kind: 'dead letter'
  readonly value: Buffer | null
  readonly lastOffset: bigint
  readonly code: string
}

export interface GapRow extends Place {
  readonly kind: 'gap'
  /** Exclusive. */
  readonly toOffset: bigint
}

export type LogRow = EventRow | DeadLetterRow | GapRow

export interface NodeRow {
  readonly level: number
  readonly index: bigint
  readonly hash: Buffer
  readonly endOffset: bigint
  readonly bytes: bigint
}

export interface StoredLog {
  readonly id: number
  readonly partition: number
  readonly topicId: string
  readonly incarnation: number
  readonly startOffset: bigint
  readonly nextOffset: bigint
  readonly size: bigint
  readonly bytes: bigint
  readonly frontier: Buffer
}

const rowsAtOnce = 2_000
const epochMs = (column: string): string => `(extract(epoch from ${column}) * 1000)::bigint`

/** Runs `work` in one read-only snapshot of the database, so that what several statements see belongs together. */
export async function inSnapshot<T>(client: Client, work: () => Promise<T>): Promise<T> {
  await client.query('begin isolation level repeatable read read only')
  try {
    return await work()
  } finally {
    await client.query('rollback')
  }
}

/**
 * The logs of a topic, all incarnations, by partition. From here on, until the transaction ends, sorts and sequential
 * scans are off: each kind of row is read in the order of an index, however many there are.
 */
export async function logsOf(client: Client, topic: string): Promise<StoredLog[]> {
  await client.query('set local enable_sort = off; set local enable_seqscan = off')
  const { rows } = await client.query<Record<string, string> & { frontier: Buffer }>(
    `select id, partition, topic_id, incarnation, start_offset, next_offset, size, bytes, frontier
       from partition_logs where topic = $1 order by partition, incarnation`,
    [topic],
  )
  return rows.map((row) => ({
    id: Number(row['id']),
    partition: Number(row['partition']),
    topicId: String(row['topic_id']),
    incarnation: Number(row['incarnation']),
    startOffset: BigInt(row['start_offset'] ?? 0),
    nextOffset: BigInt(row['next_offset'] ?? 0),
    size: BigInt(row['size'] ?? 0),
    bytes: BigInt(row['bytes'] ?? 0),
    frontier: row.frontier,
  }))
}

/** Everything that a log holds in offset order, a few thousand rows at a time; in a transaction, behind `logsOf`. */
export async function* rowsOf(client: Client, logId: number): AsyncGenerator<LogRow> {
  yield* merged([events(client, logId), deadLetters(client, logId), gaps(client, logId)])
}

/** The stored nodes, lowest level first, each level in order; in a transaction. */
export async function* nodesOf(client: Client, logId: number): AsyncGenerator<NodeRow> {
  const text = `select level, index, hash, end_offset, bytes from log_nodes where log_id = ${logId} order by level, index`
  for await (const row of cursor(client, 'nodes', text))
    yield {
      level: Number(row['level']),
      index: bigintOf(row['index']),
      hash: bytesOf(row['hash']),
      endOffset: bigintOf(row['end_offset']),
      bytes: bigintOf(row['bytes']),
    }
}

async function* events(client: Client, logId: number): AsyncGenerator<EventRow> {
  const text = `select "offset", leaf_index, leaf_hash, ${epochMs('ingested_at')} as at, key, headers, kafka_timestamp, value,
                       id, type, source, tenant_id, event_time, classification, policy_tags, content_hash
                  from events where log_id = ${logId} order by "offset"`
  for await (const row of cursor(client, 'events', text))
    yield {
      kind: 'event',
      ...placeOf(row, 'offset'),
      ...recordOf(row),
      value: bytesOf(row['value']),
      id: String(row['id']),
      type: String(row['type']),
      source: String(row['source']),
      tenantId: textOf(row['tenant_id']),
      eventTime: bigintOf(row['event_time']),
      classification: String(row['classification']),
      policyTags: row['policy_tags'] as string[],
      contentHash: bytesOf(row['content_hash']),
    }
}

async function* deadLetters(client: Client, logId: number): AsyncGenerator<DeadLetterRow> {
  const text = `select "offset", leaf_index, leaf_hash, ${epochMs('ingested_at')} as at, key, headers, kafka_timestamp, value,
                       last_offset, code
                  from dead_letters where log_id = ${logId} order by "offset"`
  for await (const row of cursor(client, 'dead_letters', text))
    yield {
      kind: 'dead letter',
      ...placeOf(row, 'offset'),
      ...recordOf(row),
      value: nullableBytesOf(row['value']),
      lastOffset: bigintOf(row['last_offset']),
      code: String(row['code']),
    }
}

async function* gaps(client: Client, logId: number): AsyncGenerator<GapRow> {
  const text = `select from_offset, to_offset, leaf_index, leaf_hash, ${epochMs('ingested_at')} as at
                  from gaps where log_id = ${logId} order by from_offset`
  for await (const row of cursor(client, 'gaps', text))
    yield { kind: 'gap', ...placeOf(row, 'from_offset'), toOffset: bigintOf(row['to_offset']) }
}

/** Of several sources that ascend by offset: all of their rows, ascending. */
async function* merged(sources: readonly AsyncGenerator<LogRow>[]): AsyncGenerator<LogRow> {
  const heads: IteratorResult<LogRow>[] = []
  for (const source of sources) heads.push(await source.next())
  for (;;) {
    let first = -1
    heads.forEach((head, index) => {
      const best = heads[first]
      if (head.done === true) return
      if (best === undefined || best.done === true || head.value.offset < best.value.offset) first = index
    })
    const head = heads[first]
    const source = sources[first]
    if (head === undefined || head.done === true || source === undefined) return
    yield head.value
    heads[first] = await source.next()
  }
}

type Columns = Readonly<Record<string, unknown>>

/** Rows of one query, in pages that end anywhere: two rows with one offset are both seen. */
async function* cursor(client: Client, name: string, text: string): AsyncGenerator<Columns> {
  await client.query(`declare ${name} no scroll cursor for ${text}`)
  for (;;) {
    const { rows } = await client.query<Columns>(`fetch ${rowsAtOnce} from ${name}`)
    yield* rows
    if (rows.length < rowsAtOnce) break
  }
  await client.query(`close ${name}`)
}

const placeOf = (row: Columns, offset: string): Place => ({
  offset: bigintOf(row[offset]),
  leafIndex: bigintOf(row['leaf_index']),
  leafHash: bytesOf(row['leaf_hash']),
  ingestedAtMs: Number(row['at']),
})

const recordOf = (row: Columns): RecordBytes => ({
  key: nullableBytesOf(row['key']),
  headers: bytesOf(row['headers']),
  kafkaTimestamp: bigintOf(row['kafka_timestamp']),
})

const bigintOf = (column: unknown): bigint => BigInt(String(column))
const textOf = (column: unknown): string | null => (column === null ? null : String(column))
const nullableBytesOf = (column: unknown): Buffer | null => (column === null ? null : bytesOf(column))

function bytesOf(column: unknown): Buffer {
  if (Buffer.isBuffer(column)) return column
  throw new TypeError('a column holds no bytes')
}
