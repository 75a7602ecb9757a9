import type { ClientBase } from 'pg'
import type { Hash, LogId } from '../domain/model.ts'
import { direct } from './bufferMethods.ts'
import type { KnownEvent } from './duplicates.ts'

const UUID_OID = 2950
const ARRAY_HEAD_BYTES = 20
const ELEMENT_BYTES = 20

/** A binary uuid[] for the ids of a batch; the ids lie at `idAt(i)`. */
export class IdArray {
  readonly bytes: Buffer

  constructor(capacity: number) {
    this.bytes = Buffer.allocUnsafe(ARRAY_HEAD_BYTES + capacity * ELEMENT_BYTES)
    this.bytes.writeInt32BE(1, 0)
    this.bytes.writeInt32BE(0, 4)
    this.bytes.writeInt32BE(UUID_OID, 8)
    this.bytes.writeInt32BE(1, 16)
  }

  idAt(index: number): number {
    return ARRAY_HEAD_BYTES + index * ELEMENT_BYTES + 4
  }

  setLength(index: number): void {
    this.bytes.writeInt32BE(16, ARRAY_HEAD_BYTES + index * ELEMENT_BYTES)
  }

  /** The parameter for the first `count` ids. */
  parameter(count: number): Buffer {
    this.bytes.writeInt32BE(count, 12)
    return this.bytes.subarray(0, ARRAY_HEAD_BYTES + count * ELEMENT_BYTES)
  }
}

export interface ProbeRange {
  readonly logId: LogId
  /** Lowest offset that counts. */
  readonly from: bigint
  /** Ingestion times, ms: no event of the range was ingested outside [earliest, latest]. */
  readonly earliestMs: number
  readonly latestMs: number
}

const DAY_MS = 86_400_000

/** Midnight UTC of the day, or of the day after, as a literal. */
const dayLiteral = (ms: number, days: number): string =>
  new Date((Math.floor(ms / DAY_MS) + days) * DAY_MS).toISOString()

/**
 * Events of the range with one of the ids. The days stand in the text, so that planning drops all other partitions,
 * and the statement is prepared once per connection and day. `+ 0` keeps the planner off the index on (log, offset):
 * by it the whole window would be read.
 */
export async function probe(
  client: ClientBase,
  ids: Buffer,
  range: ProbeRange,
): Promise<readonly KnownEvent[]> {
  const from = dayLiteral(range.earliestMs, 0)
  const to = dayLiteral(range.latestMs, 1)
  const { rows } = await client.query<{ id: string; offset: string; content_hash: Buffer }>({
    name: `probe ${from} ${to}`,
    text: `select id, "offset", content_hash from public.events
            where id = any($1::uuid[]) and log_id + 0 = $2::int and "offset" + 0 >= $3::bigint
              and ingested_at >= '${from}' and ingested_at < '${to}'`,
    values: [ids, range.logId, range.from.toString()],
  })
  return rows.map((row) => ({
    id: row.id,
    offset: BigInt(row.offset),
    contentHash: direct(row.content_hash).latin1Slice(0, 32) as Hash,
  }))
}
