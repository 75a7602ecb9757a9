import type { Pool } from 'pg'
import type { LogId, Offset } from '../domain/model.ts'
import { offset } from '../domain/model.ts'
import { ServiceError } from '../errors.ts'

/** Leaves of a stored node of level 8: the grain of the sparse index. */
export const BLOCK_LEAVES = 256

/** A boundary between blocks, or the log's start or head: where offsets, leaves, bytes and time are all known. */
export interface Mark {
  /** Offset behind the block. */
  readonly offset: Offset
  /** Leaves up to here. */
  readonly leaves: bigint
  /** Key, value and header bytes of those leaves. */
  readonly bytes: bigint
  /** Ingestion time of the last of them, ms. */
  readonly ingestedMs: number
}

/** Marks around an offset: what bounds a read. */
export interface Surroundings {
  /** The last mark at or before the offset; events behind it were ingested at its time or later. */
  readonly before: Mark
  /** Those that follow, nearest first, the head of the log last if it is near enough; at least one unless at the head. */
  readonly after: readonly Mark[]
  readonly head: Mark
}

interface Row {
  readonly start_offset: string
  readonly next_offset: string
  readonly size: string
  readonly bytes: string
  readonly created_ms: string
  readonly last_ms: string | null
  readonly base_index: string | null
  readonly base_end: string | null
  readonly base_bytes: string | null
  readonly base_ms: string | null
  readonly ends: readonly string[]
  readonly bytes_at: readonly string[]
  readonly times: readonly string[]
}

/** Ingestion time never decreases within a log, so the nodes of level 8 order time as they order offsets. */
const surroundingsText = `
  select l.start_offset, l.next_offset, l.size, l.bytes,
         (extract(epoch from l.created_at) * 1000)::bigint as created_ms,
         (extract(epoch from l.last_ingested_at) * 1000)::bigint as last_ms,
         base.index as base_index, base.end_offset as base_end, base.bytes as base_bytes,
         (extract(epoch from base.ingested_at) * 1000)::bigint as base_ms,
         coalesce(follow.ends, '{}') as ends, coalesce(follow.bytes_at, '{}') as bytes_at,
         coalesce(follow.times, '{}') as times
    from public.partition_logs l
    left join lateral (
      select index, end_offset, bytes, ingested_at from public.log_nodes
       where log_id = l.id and level = 8 and end_offset <= $2::bigint
       order by end_offset desc limit 1) base on true
    left join lateral (
      select array_agg(end_offset order by index) as ends, array_agg(bytes order by index) as bytes_at,
             array_agg((extract(epoch from ingested_at) * 1000)::bigint order by index) as times
        from public.log_nodes
       where log_id = l.id and level = 8 and index > coalesce(base.index, -1)
         and index <= coalesce(base.index, -1) + $3::bigint) follow on true
   where l.id = $1::int`

/**
 * The marks around `at`, with up to `blocks` blocks behind it. One round trip and as many index entries as blocks,
 * wherever in the log. Throws UNKNOWN_PARTITION when there is no such log; `pool` errors come through.
 */
export async function surroundings(pool: Pool, id: LogId, at: bigint, blocks: number): Promise<Surroundings> {
  const { rows } = await pool.query<Row>({
    name: 'surroundings',
    text: surroundingsText,
    values: [id, at.toString(), blocks],
  })
  const row = rows[0]
  if (row === undefined) throw new ServiceError('UNKNOWN_PARTITION', `There is no log ${id}`)
  const head: Mark = {
    offset: offset(BigInt(row.next_offset)),
    leaves: BigInt(row.size),
    bytes: BigInt(row.bytes),
    ingestedMs: Number(row.last_ms ?? row.created_ms),
  }
  const before: Mark = {
    offset: offset(BigInt(row.base_end ?? row.start_offset)),
    leaves: row.base_index === null ? 0n : (BigInt(row.base_index) + 1n) * BigInt(BLOCK_LEAVES),
    bytes: BigInt(row.base_bytes ?? 0),
    ingestedMs: Number(row.base_ms ?? row.created_ms),
  }
  const after = row.ends.map(
    (end, index): Mark => ({
      offset: offset(BigInt(end)),
      leaves: before.leaves + BigInt((index + 1) * BLOCK_LEAVES),
      bytes: BigInt(row.bytes_at[index] ?? 0),
      ingestedMs: Number(row.times[index] ?? head.ingestedMs),
    }),
  )
  if (after.length < blocks && (after.at(-1) ?? before).offset < head.offset) after.push(head)
  return { before, after, head }
}
