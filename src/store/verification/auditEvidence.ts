/** What a log says of itself beside its rows: its own row, nodes, checkpoints. */
import type { Pool } from 'pg'
import { HASH_BYTES } from '../../domain/hash.ts'
import { decodeFrontier, emptyFrontier, emptyRoot } from '../../domain/merkle.ts'
import type { LogId } from '../../domain/model.ts'
import type { Beyond } from '../../domain/verification/concludeLog.ts'
import { type Evidence, type LogHead, type NodeRow, nodeKey } from '../../domain/verification/stored.ts'
import type { BlockRange, TimeSpan } from '../../ports.ts'
import {
  checkpointsBetween,
  emptyCheckpoints,
  type KeyPeriods,
  largerCheckpoints,
} from './auditCheckpoints.ts'
import { hashOf } from './auditRows.ts'
import { detachedLeaves, standingSpans, tableOf } from './detachedRows.ts'

const BLOCK_LEVEL = 8
/** As `decodeFrontier` reads. */
const MAX_FRONTIER_BYTES = 64 * HASH_BYTES
const LEVELS = [16, 24, 32, 40, 48, 56] as const
/** A log that was damaged on a grand scale is damaged whether or not all is listed. */
const MAX_LISTED = 100

interface HeadRow {
  readonly start_offset: string
  readonly next_offset: string
  readonly size: string
  readonly bytes: string
  readonly frontier: Buffer
  readonly created_ms: string
  readonly last_ms: string | null
}

export async function auditHead(pool: Pool, id: LogId): Promise<LogHead | null> {
  const { rows } = await pool.query<HeadRow>(
    `select start_offset, next_offset, size, bytes, frontier, extract(epoch from created_at) * 1000 as created_ms,
            extract(epoch from last_ingested_at) * 1000 as last_ms
       from public.partition_logs where id = $1`,
    [id],
  )
  const row = rows[0]
  if (row === undefined) return null
  return {
    startOffset: BigInt(row.start_offset),
    nextOffset: BigInt(row.next_offset),
    size: BigInt(row.size),
    bytes: BigInt(row.bytes),
    ...frontierOf(row.frontier),
    createdMs: Number(row.created_ms),
    lastIngestedMs: row.last_ms === null ? null : Number(row.last_ms),
  }
}

/** Whoever owns the table can put anything there: that is a finding, and not the end of the verification. */
function frontierOf(bytes: Buffer): Pick<LogHead, 'frontier' | 'flaw'> {
  if (bytes.length % HASH_BYTES !== 0 || bytes.length > MAX_FRONTIER_BYTES)
    return { frontier: emptyFrontier, flaw: `${bytes.length} bytes are none` }
  return { frontier: decodeFrontier(bytes), flaw: null }
}

interface NodeText {
  readonly level: number
  readonly index: string
  readonly hash: Buffer
  readonly end_offset: string
  readonly bytes: string
  readonly ingested_ms: string
}

const NODE_COLUMNS =
  'level, index, hash, end_offset, bytes, extract(epoch from ingested_at) * 1000 as ingested_ms'

/** Nodes of the blocks [from, to) and of those above that they complete, and the checkpoints over them. */
export async function auditEvidence(
  pool: Pool,
  id: LogId,
  { from, to, size }: BlockRange,
  periods: KeyPeriods,
): Promise<Evidence> {
  const nodes = new Map<string, NodeRow>()
  for (const level of [BLOCK_LEVEL, ...LEVELS]) {
    const shift = BigInt(level - BLOCK_LEVEL)
    const range = { from: from >> shift, to: to >> shift }
    if (range.from === range.to) continue
    for (const node of await nodesOf(pool, id, level, range)) nodes.set(nodeKey(level, node.index), node)
  }
  const first = from << BigInt(BLOCK_LEVEL)
  const last = to << BigInt(BLOCK_LEVEL)
  const checkpoints = await checkpointsBetween(pool, id, first, last > size ? size : last, periods)
  const detached = await detachedLeaves(pool, id, first, last)
  return { nodes, blocksTo: to, checkpoints, detached }
}

async function nodesOf(
  pool: Pool,
  id: LogId,
  level: number,
  range: { readonly from: bigint; readonly to: bigint },
): Promise<NodeRow[]> {
  const { rows } = await pool.query<NodeText>({
    name: 'audit-nodes',
    text: `select ${NODE_COLUMNS} from public.log_nodes where log_id = $1 and level = $2 and index >= $3 and index < $4`,
    values: [id, level, range.from.toString(), range.to.toString()],
  })
  return rows.map((row) => ({
    level: row.level,
    index: BigInt(row.index),
    hash: hashOf(row.hash),
    endOffset: BigInt(row.end_offset),
    bytes: BigInt(row.bytes),
    ingestedMs: Number(row.ingested_ms),
  }))
}

/** All in one statement, so in one look: rows that are being appended meanwhile come with the log's row. */
const beyondRowsText = (standing: readonly TimeSpan[]): string => `
  with log as (select * from public.partition_logs where id = $1),
  beyond as (
    select "offset" as at from public.events where log_id = $1 and "offset" >= (select next_offset from log)
    ${standing.map((span) => `union all select "offset" from ${tableOf(span)} where log_id = $1 and "offset" >= (select next_offset from log)`).join(' ')}
    union all select "offset" from public.dead_letters where log_id = $1 and "offset" >= (select next_offset from log)
    union all select from_offset from public.gaps where log_id = $1 and from_offset >= (select next_offset from log))
  select count(*) as count, min(at) as first from beyond`

const beyondNodesText = `
  select n.level, n.index from public.partition_logs l
    join public.log_nodes n on n.log_id = l.id and n.level = $2 and n.index >= l.size >> $2::int
   where l.id = $1 order by n.index limit ${MAX_LISTED}`

export async function auditBeyond(pool: Pool, id: LogId, periods: KeyPeriods): Promise<Beyond> {
  const rows = await pool.query<{ count: string; first: string | null }>(
    beyondRowsText(await standingSpans(pool, id)),
    [id],
  )
  const nodes: { level: number; index: bigint }[] = []
  for (const level of [BLOCK_LEVEL, ...LEVELS]) {
    const found = await pool.query<{ level: number; index: string }>(beyondNodesText, [id, level])
    nodes.push(...found.rows.map((row) => ({ level: row.level, index: BigInt(row.index) })))
  }
  const first = rows.rows[0]?.first ?? null
  return {
    rows: first === null ? null : { count: BigInt(rows.rows[0]?.count ?? 0), first: BigInt(first) },
    nodes,
    checkpoints: await largerCheckpoints(pool, id, MAX_LISTED, periods),
    empty: (await emptyCheckpoints(pool, id, periods)).filter(
      ({ rootHash, flaw }) => rootHash !== emptyRoot || flaw !== null,
    ),
  }
}
