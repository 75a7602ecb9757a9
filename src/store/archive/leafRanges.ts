/** Where in a log a leaf lies, and which leaves were ingested when: by the sparse index, a block of 256 leaves at a time. */
import type { Pool } from 'pg'
import { type LeafIndex, type LogId, leafIndex, type Offset, offset } from '../../domain/model.ts'
import { ServiceError } from '../../errors.ts'
import type { LeafRange } from '../../ports.ts'
import { AWAY, awayRuns, detachedIn, lackOf } from '../detached.ts'
import { larger, smaller } from '../int8.ts'
import { blockStart, windowBetween } from '../ranges.ts'
import { windowCondition } from '../readPage.ts'
import { BLOCK_LEAVES, surroundings } from '../sparseIndex.ts'

const DAY_MS = 86_400_000

interface Head {
  readonly name: string
  readonly size: bigint
  readonly start: bigint
  readonly next: bigint
}

async function headOf(pool: Pool, id: LogId): Promise<Head> {
  const { rows } = await pool.query<Record<'name' | 'size' | 'start_offset' | 'next_offset', string>>(
    `select topic || '/' || partition as name, size, start_offset, next_offset from public.partition_logs where id = $1`,
    [id],
  )
  const row = rows[0]
  if (row === undefined) throw new ServiceError('UNKNOWN_PARTITION', `There is no log ${id}`)
  return {
    name: row.name,
    size: BigInt(row.size),
    start: BigInt(row.start_offset),
    next: BigInt(row.next_offset),
  }
}

/** Ingestion time never decreases along a log, so a range of time is a range of leaves. Throws DETACHED, LOG_DAMAGED. */
export async function leavesBetween(
  pool: Pool,
  id: LogId,
  fromMs: number | null,
  toMs: number | null,
): Promise<LeafRange> {
  const head = await headOf(pool, id)
  const from = fromMs === null ? 0n : await firstLeafAt(pool, id, head, fromMs)
  const to = toMs === null ? head.size : await firstLeafAt(pool, id, head, toMs)
  return await wholeRange(pool, id, head, from, to)
}

/** Throws DETACHED, LOG_DAMAGED. */
export async function leavesOf(pool: Pool, id: LogId, from: LeafIndex, to: LeafIndex): Promise<LeafRange> {
  const head = await headOf(pool, id)
  return await wholeRange(pool, id, head, smaller(from, head.size), smaller(to, head.size))
}

/**
 * All that the log still has: from behind the last leaf that went away with a detached day. Throws DETACHED when leaves before it
 * are still there, and no verified archive holds them: they would be left out without a word.
 */
export async function leavesLeft(pool: Pool, id: LogId): Promise<LeafRange> {
  const head = await headOf(pool, id)
  const from = await behindAway(pool, id)
  const left = from === 0n ? null : await unarchivedBelow(pool, id, from)
  if (left !== null)
    throw new ServiceError(
      'DETACHED',
      `The leaves ${left.from} to ${left.to} of ${head.name} lie before others that were detached, and no verified archive holds them: ` +
        'archive them first, by their numbers (fromLeaf, toLeaf)',
    )
  return await rangeOf(pool, id, head, smaller(from, head.size), head.size)
}

async function behindAway(pool: Pool, id: LogId): Promise<bigint> {
  const { rows } = await pool.query<{ end: string | null }>(
    `select max(to_leaf) as end from public.detached_leaves
      where log_id = $1 and detachment in (select sequence from (${AWAY}) away)`,
    [id],
  )
  return BigInt(rows[0]?.end ?? 0)
}

async function unarchivedBelow(
  pool: Pool,
  id: LogId,
  end: bigint,
): Promise<{ readonly from: string; readonly to: string } | null> {
  const { rows } = await pool.query<{ from: string; to: string }>(
    `select lower(part) as "from", upper(part) as "to"
       from (select unnest(int8multirange(int8range(0, $2)) - coalesce(range_agg(int8range(a.from_leaf, a.to_leaf)), '{}')) as part
               from public.archive_logs a
               join public.archive_results v on v.archive_id = a.archive_id and v.status = 'verified'
              where a.log_id = $1) parts
      order by part limit 1`,
    [id, end.toString()],
  )
  return rows[0] ?? null
}

/** Of the last of the first `size` leaves; of none: when the log was opened. Throws DETACHED, LOG_DAMAGED. */
export async function ingestedAt(pool: Pool, id: LogId, size: LeafIndex): Promise<number> {
  if (size === 0n) return (await surroundings(pool, id, 0n, 1)).before.ingestedMs
  const leaf = size - 1n
  const row = (await blockRows(pool, id, leaf / BigInt(BLOCK_LEAVES))).find((each) => each.leaf === leaf)
  if (row === undefined) throw await lackOf(pool, id, { fromLeaf: leaf, toLeaf: size }, lost(id, leaf))
  return row.ingestedMs
}

const lost = (id: LogId, leaf: bigint): ServiceError =>
  new ServiceError('LOG_DAMAGED', `Log ${id} has no row for the leaf ${leaf}`)

/** A range that was asked for. Throws DETACHED when some of it went away. */
async function wholeRange(pool: Pool, id: LogId, head: Head, from: bigint, to: bigint): Promise<LeafRange> {
  const detached = from < to ? await detachedIn(pool, id, { fromLeaf: from, toLeaf: to }) : null
  if (detached !== null) throw detached
  return await rangeOf(pool, id, head, from, to)
}

async function rangeOf(pool: Pool, id: LogId, head: Head, from: bigint, to: bigint): Promise<LeafRange> {
  const end = larger(from, to)
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
  if (row !== undefined) return offset(row.at)
  // A part may end where another went away.
  const [run] = await awayRuns(pool, id, { from: leaf, to: leaf + 1n })
  if (run?.fromLeaf === leaf) return offset(run.fromOffset)
  throw await lackOf(pool, id, { fromLeaf: leaf, toLeaf: leaf + 1n }, lost(id, leaf))
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
  return await firstLeafOf(pool, id, head, low, ms)
}

/** Of the block, or the log's size. What went away came on its day: whether before or behind a time within it, nobody knows. */
async function firstLeafOf(
  pool: Pool,
  id: LogId,
  { size }: Head,
  block: bigint,
  ms: number,
): Promise<bigint> {
  const from = block * BigInt(BLOCK_LEAVES)
  const end = from + BigInt(BLOCK_LEAVES)
  const to = smaller(end, size)
  const rows = await blockRows(pool, id, block)
  const runs = BigInt(rows.length) === to - from ? [] : await awayRuns(pool, id, { from, to })
  let leaf = from
  let at = 0
  while (leaf < to) {
    const row = rows[at]
    if (row?.leaf === leaf) {
      if (row.ingestedMs >= ms) return leaf
      at++
      leaf++
      continue
    }
    const run = runs.find(({ fromLeaf, toLeaf }) => fromLeaf <= leaf && toLeaf > leaf)
    if (run === undefined) throw lost(id, leaf)
    if (run.dayMs >= ms) return leaf
    if (run.dayMs + DAY_MS > ms)
      throw await lackOf(pool, id, { fromLeaf: leaf, toLeaf: leaf + 1n }, lost(id, leaf))
    leaf = run.toLeaf
  }
  return size
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
