/** Days that were detached on purpose: which leaves went with them, and what still stands for those. */
import type { Pool } from 'pg'
import type { LogId } from '../../domain/model.ts'
import {
  type DetachedLeaves,
  type DetachedRun,
  noDetachedLeaves,
} from '../../domain/verification/detachedLeaves.ts'
import { ServiceError } from '../../errors.ts'
import type { DetachedArchive, TimeSpan } from '../../ports.ts'
import { AWAY, hashesByLeaf } from '../detached.ts'

/** Days whose leaves have no row any more. */
const GONE = `select sequence, day, rows from (${AWAY}) away where standing is null`

/** What verified archives hold of a run `r` of the log $1, among those that its record names. Nothing else excuses a leaf. */
const HELD_PART = `
  cross join lateral (
    select unnest(int8multirange(int8range(r.from_leaf, r.to_leaf)) * coalesce(range_agg(int8range(a.from_leaf, a.to_leaf)), '{}')) as part
      from public.archive_logs a join public.archive_results v on v.archive_id = a.archive_id and v.status = 'verified'
     where a.log_id = $1 and a.archive_id = any (r.archives)) held`

const runsText = `
  with gone as materialized (${GONE})
  select g.sequence, g.day::text, lower(part) as "from", upper(part) as "to", r.to_offset
    from gone g
   cross join lateral (
     (select * from public.detached_leaves l
       where l.detachment = g.sequence and l.log_id = $1 and l.from_leaf < $2 order by l.from_leaf desc limit 1)
     union all
     select * from public.detached_leaves l
      where l.detachment = g.sequence and l.log_id = $1 and l.from_leaf >= $2 and l.from_leaf < $3) r
   ${HELD_PART}
   where upper(part) > $2 and lower(part) < $3
   order by lower(part)`

const hashesText = `
  select h.from_leaf, h.hashes from public.detached_hashes h
   where h.log_id = $1 and h.from_leaf >= $2 and h.from_leaf < $3 and h.detachment in (select sequence from (${GONE}) gone)`

/** Of the leaves [from, to), borders of blocks. */
export async function detachedLeaves(
  pool: Pool,
  id: LogId,
  from: bigint,
  to: bigint,
): Promise<DetachedLeaves> {
  const values = [id, from.toString(), to.toString()]
  const { rows } = await pool.query<Record<'sequence' | 'day' | 'from' | 'to' | 'to_offset', string>>({
    name: 'detached-runs',
    text: runsText,
    values,
  })
  const runs = rows.map((row): DetachedRun => {
    const { sequence: detachment, day } = row
    return {
      ...{ detachment, day },
      from: BigInt(row.from),
      to: BigInt(row.to),
      toOffset: BigInt(row.to_offset),
    }
  })
  if (runs.length === 0) return noDetachedLeaves
  const found = await pool.query<{ from_leaf: string; hashes: Buffer }>({
    name: 'detached-hashes',
    text: hashesText,
    values,
  })
  return { runs, hashes: hashesByLeaf(found.rows) }
}

/** Tables of detached days that still stand, with events of the log: they are read as if they were attached. Throws FORBIDDEN. */
export async function standingSpans(pool: Pool, id: LogId): Promise<readonly TimeSpan[]> {
  const { rows } = await pool.query<{ from: string; to: string; table: string; readable: boolean }>(
    `select (day::timestamp at time zone 'UTC')::text as "from", ((day + 1)::timestamp at time zone 'UTC')::text as "to",
            'events_' || to_char(day, 'YYYYMMDD') as "table", has_table_privilege(standing, 'select') as readable
       from (${AWAY}) away where standing is not null order by day`,
  )
  const spans: TimeSpan[] = []
  for (const { readable, ...span } of rows) {
    if (!readable)
      throw new ServiceError(
        'FORBIDDEN',
        `The detached table ${span.table} cannot be read: grant select on it to streaming_ingest_app, or drop it`,
      )
    const found = await pool.query(`select from ${tableOf(span)} where log_id = $1 limit 1`, [id])
    if (found.rowCount !== 0) spans.push(span)
  }
  return spans
}

/** Where a span's events are read. Throws RangeError for a name that no day's table has. */
export function tableOf({ table }: Pick<TimeSpan, 'table'>): string {
  if (table === undefined) return 'public.events'
  if (!/^events_\d{8,}$/.test(table)) throw new RangeError(`${table} is no table of a day`)
  return `public.${table}`
}

/** Changes when a day is attached, detached, or its detached table dropped: rows of before and behind it make no whole. */
export async function layoutOfDays(pool: Pool): Promise<string> {
  const { rows } = await pool.query<{ layout: string }>(
    `select md5(coalesce((select string_agg(inhrelid::text, ',' order by inhrelid) from pg_catalog.pg_inherits
                           where inhparent = 'public.events'::regclass), '')
       || ';' || coalesce((select string_agg(sequence || '=' || coalesce(standing::oid::text, ''), ',' order by sequence)
                             from (${AWAY}) away), '')) as layout`,
  )
  return rows[0]?.layout ?? ''
}

/** Lowest offset of the leaves of a log that are gone with a detached day; null when there are none. */
export async function firstGone(pool: Pool, id: LogId): Promise<bigint | null> {
  const { rows } = await pool.query<{ first: string | null }>(
    `select min(from_offset) as first from public.detached_leaves
      where log_id = $1 and detachment in (select sequence from (${GONE}) gone)`,
    [id],
  )
  const first = rows[0]?.first ?? null
  return first === null ? null : BigInt(first)
}

/** Verified archives with leaves of the log that went away with the detachment. */
export async function archivesOfDetachment(
  pool: Pool,
  id: LogId,
  detachment: string,
): Promise<readonly DetachedArchive[]> {
  const { rows } = await pool.query<DetachedArchive>(
    `select a.id, a.place, encode(v.manifest_sha256, 'hex') as "manifestHash"
       from public.archives a join public.archive_results v on v.archive_id = a.id and v.status = 'verified'
      where a.id in (select distinct unnest(archives) from public.detached_leaves where log_id = $1 and detachment = $2)
      order by a.sequence limit ${MAX_LISTED}`,
    [id, detachment],
  )
  return rows
}

/** More archives than anybody makes of one log. */
const MAX_ARCHIVES = 10_000

export async function archivesOfGone(pool: Pool, id: LogId): Promise<readonly DetachedArchive[]> {
  const { rows } = await pool.query<DetachedArchive>(
    `select a.id, a.place, encode(v.manifest_sha256, 'hex') as "manifestHash"
       from public.archives a join public.archive_results v on v.archive_id = a.id and v.status = 'verified'
      where a.id in (select distinct unnest(archives) from public.detached_leaves
                      where log_id = $1 and detachment in (select sequence from (${GONE}) gone))
      order by a.sequence limit ${MAX_ARCHIVES}`,
    [id],
  )
  return rows
}

/** All that a record names, whatever archives the database knows. */
export async function goneOutside(
  pool: Pool,
  id: LogId,
  parts: readonly { readonly fromLeaf: bigint; readonly toLeaf: bigint }[],
): Promise<{ readonly gone: bigint; readonly outside: bigint; readonly first: bigint | null }> {
  const { rows } = await pool.query<{ gone: string; outside: string; first: string | null }>(
    `with runs as materialized (
       select from_leaf, to_leaf from public.detached_leaves
        where log_id = $1 and detachment in (select sequence from (${GONE}) gone)),
     lacking as (
       select part from runs cross join lateral unnest(int8multirange(int8range(from_leaf, to_leaf)) - $2::int8multirange) part)
     select (select coalesce(sum(to_leaf - from_leaf), 0) from runs) as gone,
            coalesce(sum(upper(part) - lower(part)), 0) as outside, min(lower(part)) as first from lacking`,
    [id, `{${parts.map(({ fromLeaf, toLeaf }) => `[${fromLeaf},${toLeaf})`).join(',')}}`],
  )
  const { gone = '0', outside = '0', first = null } = rows[0] ?? {}
  return { gone: BigInt(gone), outside: BigInt(outside), first: first === null ? null : BigInt(first) }
}

/** Days that are gone with events of which nobody wrote down the leaves. */
export async function unknownDays(pool: Pool): Promise<readonly string[]> {
  const { rows } = await pool.query<{ day: string }>(
    `select g.day::text from (${GONE}) g
      where not exists (select from public.detached_leaves l where l.detachment = g.sequence)
      order by g.day limit ${MAX_LISTED}`,
  )
  return rows.map(({ day }) => day)
}

const MAX_LISTED = 100
