/** Where in a log a leaf lies, and which leaves were ingested when: by the sparse index, a block of 256 leaves at a time. */
import type { Pool } from 'pg'
import { type LeafIndex, type LogId, leafIndex, type Offset, offset } from '../../domain/model.ts'
import { ServiceError } from '../../errors.ts'
import type { LeafRange } from '../../ports.ts'
import { blockStart, windowBetween } from '../ranges.ts'
import { windowCondition } from '../readPage.ts'
import { BLOCK_LEAVES, surroundings } from '../sparseIndex.ts'

interface Head {
  readonly size: bigint
  readonly start: bigint
  readonly next: bigint
}

async function headOf(pool: Pool, id: LogId): Promise<Head> {
  const { rows } = await pool.query<{ size: string; start_offset: string; next_offset: string }>(
    'select size, start_offset, next_offset from public.partition_logs where id = $1',
    [id],
  )
  const row = rows[0]
  if (row === undefined) throw new ServiceError('UNKNOWN_PARTITION', `There is no log ${id}`)
  return { size: BigInt(row.size), start: BigInt(row.start_offset), next: BigInt(row.next_offset) }
}

/** Ingestion time never decreases along a log, so a range of time is a range of leaves. */
export async function leavesBetween(
  pool: Pool,
  id: LogId,
  fromMs: number | null,
  toMs: number | null,
): Promise<LeafRange> {
  const head = await headOf(pool, id)
  const from = fromMs === null ? 0n : await firstLeafAt(pool, id, head, fromMs)
  const to = toMs === null ? head.size : await firstLeafAt(pool, id, head, toMs)
  return await rangeOf(pool, id, head, from, to)
}

export async function leavesOf(pool: Pool, id: LogId, from: LeafIndex, to: LeafIndex): Promise<LeafRange> {
  const head = await headOf(pool, id)
  return await rangeOf(pool, id, head, from < head.size ? from : head.size, to < head.size ? to : head.size)
}

/** Of the last of the first `size` leaves; of none: when the log was opened. */
export async function ingestedAt(pool: Pool, id: LogId, size: LeafIndex): Promise<number> {
  if (size === 0n) return (await surroundings(pool, id, 0n, 1)).before.ingestedMs
  const leaf = size - 1n
  const row = (await blockRows(pool, id, leaf / BigInt(BLOCK_LEAVES))).find((each) => each.leaf === leaf)
  if (row === undefined) throw new ServiceError('LOG_DAMAGED', `Log ${id} has no row for the leaf ${leaf}`)
  return row.ingestedMs
}

async function rangeOf(pool: Pool, id: LogId, head: Head, from: bigint, to: bigint): Promise<LeafRange> {
  const end = from > to ? from : to
  return {
    fromLeaf: leafIndex(from),
    toLeaf: leafIndex(end),
    fromOffset: await offsetOf(pool, id, head, from),
    toOffset: await offsetOf(pool, id, head, end),
  }
}

/** Offset at which the leaf begins; the log's ends for its first leaf and for the one that it does not have yet. */
async function offsetOf(pool: Pool, id: LogId, head: Head, leaf: bigint): Promise<Offset> {
  if (leaf === 0n) return offset(head.start)
  if (leaf >= head.size) return offset(head.next)
  const row = (await blockRows(pool, id, leaf / BigInt(BLOCK_LEAVES))).find((each) => each.leaf === leaf)
  if (row === undefined) throw new ServiceError('LOG_DAMAGED', `Log ${id} has no row for the leaf ${leaf}`)
  return offset(row.at)
}

/** The first leaf that was ingested at `ms` or later; the log's size when there is none. */
async function firstLeafAt(pool: Pool, id: LogId, head: Head, ms: number): Promise<bigint> {
  let low = 0n
  let high = head.size / BigInt(BLOCK_LEAVES)
  // The first block whose last leaf came at that time or later.
  while (low < high) {
    const middle = (low + high) / 2n
    if ((await blockEndMs(pool, id, middle)) >= ms) high = middle
    else low = middle + 1n
  }
  const row = (await blockRows(pool, id, low)).find((each) => each.ingestedMs >= ms)
  return row === undefined ? head.size : row.leaf
}

async function blockEndMs(pool: Pool, id: LogId, block: bigint): Promise<number> {
  const { rows } = await pool.query<{ ms: string }>(
    `select extract(epoch from ingested_at) * 1000 as ms from public.log_nodes
      where log_id = $1 and level = 8 and index = $2`,
    [id, block.toString()],
  )
  if (rows[0] === undefined)
    throw new ServiceError('LOG_DAMAGED', `Log ${id} lacks the node of block ${block}`)
  return Number(rows[0].ms)
}

interface BlockRow {
  readonly leaf: bigint
  readonly at: bigint
  readonly ingestedMs: number
}

/** By leaf; the last block may be short, and empty. */
async function blockRows(pool: Pool, id: LogId, block: bigint): Promise<readonly BlockRow[]> {
  const start = await blockStart(pool, id, block)
  const { before, after } = await surroundings(pool, id, start, 1)
  const end = after[0]
  if (end === undefined) return []
  const window = windowBetween(id, start, end.offset, before, end)
  const offsets = (column: string): string =>
    `log_id = ${id} and ${column} >= ${window.from} and ${column} < ${window.to}`
  const time = 'extract(epoch from ingested_at) * 1000 as ms'
  const { rows } = await pool.query<{ leaf_index: string; at: string; ms: string }>(
    `select leaf_index, "offset" as at, ${time} from public.events where ${windowCondition(window)}
     union all select leaf_index, "offset", ${time} from public.dead_letters where ${offsets('"offset"')}
     union all select leaf_index, from_offset, ${time} from public.gaps where ${offsets('from_offset')}
      order by leaf_index`,
  )
  return rows.map((row) => ({
    leaf: BigInt(row.leaf_index),
    at: BigInt(row.at),
    ingestedMs: Number(row.ms),
  }))
}
