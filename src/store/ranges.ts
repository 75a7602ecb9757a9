import type { Pool } from 'pg'
import { rootOf } from '../domain/merkle.ts'
import {
  type Frontier,
  type Hash,
  type LeafIndex,
  type LogId,
  leafIndex,
  type Offset,
  offset,
} from '../domain/model.ts'
import { frontierFromParts, rootPlan } from '../domain/pastRoot.ts'
import type { EventFilters } from '../domain/replay.ts'
import { ServiceError } from '../errors.ts'
import type { LogRangeCount } from '../ports.ts'
import { direct } from './bufferMethods.ts'
import { awayRuns, lackOf, recordedHashes, requireWhole } from './detached.ts'
import { smaller } from './int8.ts'
import { filterCondition } from './literals.ts'
import { blocksBetween, type Window, windowCondition } from './readPage.ts'
import { BLOCK_LEAVES, type Mark, surroundings } from './sparseIndex.ts'

/** Leaves that one counting statement goes through: about a second, far below the statement timeout. */
const BLOCKS_PER_COUNT = 4_000

/**
 * Counts in bounded statements, whatever the range. Throws OFFSET_NOT_INGESTED beyond the head, and DETACHED or LOG_DAMAGED
 * when the blocks around the range hold fewer rows than leaves (a partition that was detached, or lost): a plan made from such
 * a count would leave events out without a word.
 */
export async function countRange(
  pool: Pool,
  id: LogId,
  from: Offset,
  to: Offset,
  filters: EventFilters,
): Promise<LogRangeCount> {
  const filter = filterCondition(filters)
  let count: LogRangeCount = { planned: 0n, total: 0n, minTimestamp: null, maxRecordBytes: 0 }
  for (let at = from; at < to; ) {
    const { before, after, head } = await surroundings(pool, id, at, BLOCKS_PER_COUNT)
    if (to > head.offset) throw notIngested(id, head, to)
    const end = after.find((mark) => mark.offset >= to) ?? after.at(-1) ?? head
    const blocks = windowBetween(id, before.offset, end.offset, before, end)
    const part = await countWindow(pool, blocks, { from: at, to: smaller(end.offset, to) }, filter)
    const around = blocksBetween(before, end)
    await requireWhole(pool, id, around, { from: at, to: smaller(end.offset, to) }, part.leaves)
    count = sum(count, part)
    at = smaller(end.offset, to)
  }
  return count
}

const notIngested = (id: LogId, head: Mark, to: bigint): ServiceError =>
  new ServiceError(
    'OFFSET_NOT_INGESTED',
    `Log ${id} has taken the offsets below ${head.offset}, not yet ${to}`,
  )

export const windowBetween = (id: LogId, from: Offset, to: Offset, before: Mark, after: Mark): Window => ({
  logId: id,
  from,
  to,
  earliestMs: before.ingestedMs,
  latestMs: after.ingestedMs,
  maxLeaves: Number(after.leaves - before.leaves),
  bytes: after.bytes - before.bytes,
})

/** What of the blocks' events lies in the range and passes; and how many leaves of any kind the blocks hold. */
async function countWindow(
  pool: Pool,
  blocks: Window,
  range: { readonly from: Offset; readonly to: Offset },
  filter: string | null,
): Promise<LogRangeCount & { readonly leaves: bigint }> {
  const inRange = `"offset" >= ${range.from} and "offset" < ${range.to}`
  const passes = `filter (where ${inRange}${filter === null ? '' : ` and ${filter}`})`
  const offsets = (column: string): string =>
    `log_id = ${blocks.logId} and ${column} >= ${blocks.from} and ${column} < ${blocks.to}`
  const { rows } = await pool.query<{
    planned: string
    total: string
    oldest: string | null
    largest: number | null
    leaves: string
  }>(
    `select count(*) ${passes} as planned, count(*) filter (where ${inRange}) as total,
            min(kafka_timestamp) ${passes} as oldest,
            max(coalesce(octet_length(key), 0) + octet_length(headers) + octet_length(value)) ${passes} as largest,
            count(*) + (select count(*) from public.dead_letters where ${offsets('"offset"')})
                     + (select count(*) from public.gaps where ${offsets('from_offset')}) as leaves
       from public.events where ${windowCondition(blocks)}`,
  )
  const row = rows[0]
  return {
    planned: BigInt(row?.planned ?? 0),
    total: BigInt(row?.total ?? 0),
    minTimestamp: row === undefined || row.oldest === null ? null : BigInt(row.oldest),
    maxRecordBytes: row?.largest ?? 0,
    leaves: BigInt(row?.leaves ?? 0),
  }
}

function sum(a: LogRangeCount, b: LogRangeCount): LogRangeCount {
  const oldest = [a.minTimestamp, b.minTimestamp].filter((each) => each !== null)
  return {
    planned: a.planned + b.planned,
    total: a.total + b.total,
    minTimestamp: oldest.length === 0 ? null : oldest.reduce(smaller),
    maxRecordBytes: Math.max(a.maxRecordBytes, b.maxRecordBytes),
  }
}

/**
 * Leaves of all kinds with a first offset in [from, to) of one window: a gap or an undecodable batch that reaches
 * over `to` counts.
 */
const leavesText = (window: Window): string => {
  const offsets = (column: string): string =>
    `log_id = ${window.logId} and ${column} >= ${window.from} and ${column} < ${window.to}`
  return `select leaf_index, leaf_hash, "offset" as at from public.events where ${windowCondition(window)}
    union all select leaf_index, leaf_hash, "offset" from public.dead_letters where ${offsets('"offset"')}
    union all select leaf_index, leaf_hash, from_offset from public.gaps where ${offsets('from_offset')}`
}

/**
 * Leaves whose first offset lies below `at`. Throws OFFSET_NOT_INGESTED beyond the head; DETACHED or LOG_DAMAGED where the leaves
 * around the offset are not there, so that nothing tells on which side of it they were.
 */
export async function sizeAt(pool: Pool, id: LogId, at: Offset): Promise<LeafIndex> {
  const { before, after, head } = await surroundings(pool, id, at, 1)
  if (at > head.offset) throw notIngested(id, head, at)
  const end = after[0]
  if (at <= before.offset || end === undefined) return leafIndex(before.leaves)
  const { rows } = await pool.query<{ last: string | null; next: string | null }>(
    `select max(leaf_index) filter (where at < $1) as last, min(leaf_index) filter (where at >= $1) as next
       from (${leavesText(windowBetween(id, before.offset, end.offset, before, end))}) leaves`,
    [at.toString()],
  )
  const next = BigInt(rows[0]?.next ?? end.leaves)
  let size = BigInt(rows[0]?.last ?? before.leaves - 1n) + 1n
  if (size === next) return leafIndex(size)
  for (const run of await awayRuns(pool, id, { from: size, to: next })) {
    if (run.fromLeaf > size || run.fromOffset >= at) break
    if (run.toOffset > at) throw await lackOf(pool, id, { fromOffset: at, toOffset: at + 1n }, lost(id, size))
    size = smaller(run.toLeaf, next)
  }
  const [behind] = size === next ? [] : await awayRuns(pool, id, { from: size, to: size + 1n })
  if (size === next || (behind !== undefined && behind.fromOffset >= at)) return leafIndex(size)
  throw lost(id, size)
}

const lost = (id: LogId, leaf: bigint): ServiceError =>
  new ServiceError('LOG_DAMAGED', `Log ${id} has no row for the leaf ${leaf}`)

/**
 * Root of the first `size` leaves. Throws OFFSET_NOT_INGESTED when the log is smaller, LOG_DAMAGED when nodes or
 * leaves are missing.
 */
export const rootAt = async (pool: Pool, id: LogId, size: LeafIndex): Promise<Hash> =>
  rootOf(await frontierAt(pool, id, size), size)

/** Compact range of the first `size` leaves. Throws like `rootAt`. */
export async function frontierAt(pool: Pool, id: LogId, size: LeafIndex): Promise<Frontier> {
  const plan = rootPlan(size)
  const { head } = await surroundings(pool, id, 0n, 1)
  if (size > head.leaves)
    throw new ServiceError('OFFSET_NOT_INGESTED', `Log ${id} has ${head.leaves} leaves, not yet ${size}`)
  const nodes: Hash[][] = []
  for (const range of plan.nodes) nodes.push(await nodeHashes(pool, id, range))
  const leaves = await leafHashes(pool, id, plan.leaves)
  try {
    return frontierFromParts(plan, { nodes, leaves })
  } catch (error) {
    const damage = new ServiceError('LOG_DAMAGED', `Log ${id} lacks nodes or leaves below ${size}`, {
      cause: error,
    })
    throw await lackOf(pool, id, { fromLeaf: plan.leaves.from, toLeaf: plan.leaves.to }, damage)
  }
}

interface HashRow {
  readonly hash: Buffer
}

interface LeafHashRow extends HashRow {
  readonly leaf: string
}

const hashOf = ({ hash }: HashRow): Hash => direct(hash).latin1Slice(0, hash.length) as Hash

export async function nodeHashes(
  pool: Pool,
  id: LogId,
  range: { readonly level: number; readonly from: bigint; readonly to: bigint },
): Promise<Hash[]> {
  const { rows } = await pool.query<HashRow>(
    `select hash from public.log_nodes where log_id = $1 and level = $2 and index >= $3 and index < $4 order by index`,
    [id, range.level, range.from.toString(), range.to.toString()],
  )
  return rows.map(hashOf)
}

/** Leaves [from, to), all of one block; fewer when some are neither in the log nor in the record of a detached day. */
export async function leafHashes(
  pool: Pool,
  id: LogId,
  range: { readonly from: bigint; readonly to: bigint },
): Promise<Hash[]> {
  if (range.from === range.to) return []
  const start = await blockStart(pool, id, range.from / BigInt(BLOCK_LEAVES))
  const { before, after } = await surroundings(pool, id, start, 1)
  const end = after[0]
  if (end === undefined) return []
  const { rows } = await pool.query<LeafHashRow>(
    `select leaf_index as leaf, leaf_hash as hash from (${leavesText(windowBetween(id, start, end.offset, before, end))}) leaves
      where leaf_index >= $1 and leaf_index < $2 order by leaf_index`,
    [range.from.toString(), range.to.toString()],
  )
  if (rows.length >= Number(range.to - range.from)) return rows.map(hashOf)
  // What a detached day had of the block was written down.
  const all = new Map(await recordedHashes(pool, id, range))
  for (const row of rows) all.set(BigInt(row.leaf), hashOf(row))
  const leaves = Array.from({ length: Number(range.to - range.from) }, (_, at) => range.from + BigInt(at))
  return leaves.flatMap((leaf) => all.get(leaf) ?? [])
}

/** Offset where the block begins: behind the block before it; below any offset for the first. */
export async function blockStart(pool: Pool, id: LogId, block: bigint): Promise<Offset> {
  if (block === 0n) return offset(0n)
  const { rows } = await pool.query<{ end_offset: string }>(
    'select end_offset from public.log_nodes where log_id = $1 and level = 8 and index = $2',
    [id, (block - 1n).toString()],
  )
  const end = rows[0]?.end_offset
  if (end === undefined)
    throw new ServiceError('LOG_DAMAGED', `Log ${id} lacks the node before block ${block}`)
  return offset(BigInt(end))
}
