/** Days that were detached on purpose: what a reader of the log must know who comes upon them. */
import type { Pool } from 'pg'
import type { DetachedDays } from '../domain/custody.ts'
import { HASH_BYTES } from '../domain/hash.ts'
import type { Hash, LogId } from '../domain/model.ts'
import { ServiceError } from '../errors.ts'
import { direct } from './bufferMethods.ts'
import { larger, smaller } from './int8.ts'

/**
 * Of each day the newest detachment of events, as long as no partition with events of that day is attached: whatever it is called,
 * its bounds tell. `standing` is the day's table, when it is still there. Its name follows from the day: what the record says of
 * it is only for people.
 */
export const AWAY = `
  with attached as materialized (
    select i.inhrelid, bound[1]::timestamptz as lower, bound[2]::timestamptz as upper,
           (bound[1]::timestamptz at time zone 'UTC')::date as day
      from pg_catalog.pg_inherits i join pg_catalog.pg_class c on c.oid = i.inhrelid
     cross join lateral regexp_match(pg_get_expr(c.relpartbound, c.oid), 'FROM \\(''([^'']+)''\\) TO \\(''([^'']+)''\\)') as bound
     where i.inhparent = 'public.events'::regclass)
  select d.sequence, d.day, d.rows, t.standing
    from (select distinct on (day) sequence, day, rows from public.detached_partitions
           where isfinite(day) and rows > 0 order by day, sequence desc) d
   cross join lateral (select to_regclass('public.events_' || to_char(d.day, 'YYYYMMDD')) as standing) t
   where not exists (select from pg_catalog.pg_inherits i where i.inhrelid = t.standing)
     and not exists (select from attached a where a.day = d.day)
     and not exists (select from attached a
                      where a.upper - a.lower <> interval '1 day' and a.lower < (d.day + 1)::timestamp at time zone 'UTC'
                        and a.upper > d.day::timestamp at time zone 'UTC')`

/** A day that was detached, attached and detached again has a record of each time: as many are looked through for the newest. */
const NEAR = 8

/** A part of a log, in SQL. */
export interface PartText {
  readonly log: string
  readonly from: string
  readonly to: string
}

/** Records of runs with leaves, or offsets, among [from, to): the last ones that begin before, and all that begin within. */
export const runsAmong = (
  by: 'leaf' | 'offset',
  { log, from, to }: PartText = { log: '$1', from: '$2', to: '$3' },
): string => `(
  select * from (
    (select * from public.detached_leaves where log_id = ${log} and from_${by} < ${from} order by from_${by} desc limit ${NEAR})
    union all
    select * from public.detached_leaves where log_id = ${log} and from_${by} >= ${from} and from_${by} < ${to}) near
   where to_${by} > ${from})`

/** A part of a log, by leaves or by offsets; ends exclusive. */
export type PartOfLog =
  | { readonly fromLeaf: bigint; readonly toLeaf: bigint }
  | { readonly fromOffset: bigint; readonly toOffset: bigint }

interface Met {
  readonly topic: string
  readonly partition: number
  readonly day: string
  readonly from_leaf: string
  readonly to_leaf: string
  readonly to_offset: string
  readonly archives: string[]
}

const metText = (by: 'leaf' | 'offset'): string => `
  with away as materialized (${AWAY})
  select p.topic, p.partition, a.day::text, l.from_leaf, l.to_leaf, l.to_offset,
         array(select r.id || ' in ' || r.place from public.archives r where r.id = any (l.archives) order by r.sequence limit 5) as archives
    from away a
    join ${runsAmong(by)} l on l.detachment = a.sequence
    join public.partition_logs p on p.id = l.log_id
   order by l.from_leaf limit 1`

/** That a part of a log went away with a detached day, which one, and who holds it; null when none of it did. */
export async function detachedIn(pool: Pool, id: LogId, part: PartOfLog): Promise<ServiceError | null> {
  const byLeaf = 'fromLeaf' in part
  const [from, to] = byLeaf ? [part.fromLeaf, part.toLeaf] : [part.fromOffset, part.toOffset]
  if (from >= to) return null
  const { rows } = await pool.query<Met>(metText(byLeaf ? 'leaf' : 'offset'), [
    id,
    from.toString(),
    to.toString(),
  ])
  const [met] = rows
  if (met === undefined) return null
  const { topic, partition, day, archives } = met
  const which = `The leaves ${met.from_leaf} to ${met.to_leaf} of ${topic}/${partition} (up to offset ${met.to_offset})`
  const holder =
    archives.length === 0
      ? 'No archive is recorded that holds them'
      : `They are in the archive ${archives.join(', ')}`
  return new ServiceError('DETACHED', `${which} went away with the day ${day}, which was detached. ${holder}`)
}

/** Where a part of a log is not whole: DETACHED when it went away on purpose, else what the caller makes of it. */
export const lackOf = async (
  pool: Pool,
  id: LogId,
  part: PartOfLog,
  damage: ServiceError,
): Promise<ServiceError> => (await detachedIn(pool, id, part)) ?? damage

/** Leaf hashes that were written down when their rows went away, of the leaves [from, to) of one block. */
export async function recordedHashes(
  pool: Pool,
  id: LogId,
  { from, to }: { readonly from: bigint; readonly to: bigint },
): Promise<ReadonlyMap<bigint, Hash>> {
  const { rows } = await pool.query<{ from_leaf: string; hashes: Buffer }>(
    `select h.from_leaf, h.hashes from public.detached_hashes h
      where h.log_id = $1 and h.from_leaf >= ($2::bigint >> 8) << 8 and h.from_leaf < $3
        and h.detachment in (select sequence from (${AWAY}) away)`,
    [id, from.toString(), to.toString()],
  )
  return hashesByLeaf(rows)
}

export function hashesByLeaf(
  rows: readonly { readonly from_leaf: string; readonly hashes: Buffer }[],
): ReadonlyMap<bigint, Hash> {
  const found = new Map<bigint, Hash>()
  for (const { from_leaf: leaf, hashes } of rows)
    for (let at = 0; at + HASH_BYTES <= hashes.length; at += HASH_BYTES)
      found.set(
        BigInt(leaf) + BigInt(at / HASH_BYTES),
        direct(hashes).latin1Slice(at, at + HASH_BYTES) as Hash,
      )
  return found
}

/** Leaves without holes that are away and that verified archives hold: they may reach over the part that was asked for. */
export interface AwayRun {
  readonly fromLeaf: bigint
  readonly toLeaf: bigint
  readonly fromOffset: bigint
  readonly toOffset: bigint
  /** Ingestion time of all of them: [dayMs, dayMs + one day). */
  readonly dayMs: number
}

/**
 * With leaves among [from, to), in order. A record alone excuses nothing: one of which verified archives do not hold all is not
 * among them.
 */
export async function awayRuns(
  pool: Pool,
  id: LogId,
  { from, to }: { readonly from: bigint; readonly to: bigint },
): Promise<readonly AwayRun[]> {
  const { rows } = await pool.query<
    Record<'from_leaf' | 'to_leaf' | 'from_offset' | 'to_offset' | 'day_ms', string>
  >(
    `with away as materialized (${AWAY})
     select l.from_leaf, l.to_leaf, l.from_offset, l.to_offset,
            extract(epoch from a.day::timestamp at time zone 'UTC') * 1000 as day_ms
       from away a
       join ${runsAmong('leaf')} l on l.detachment = a.sequence
      where int8multirange(int8range(l.from_leaf, l.to_leaf)) <@ (
        select coalesce(range_agg(int8range(p.from_leaf, p.to_leaf)), '{}')
          from public.archive_logs p join public.archive_results v on v.archive_id = p.archive_id and v.status = 'verified'
         where p.log_id = $1 and p.archive_id = any (l.archives))
      order by l.from_leaf`,
    [id, from.toString(), to.toString()],
  )
  return rows.map((row) => ({
    fromLeaf: BigInt(row.from_leaf),
    toLeaf: BigInt(row.to_leaf),
    fromOffset: BigInt(row.from_offset),
    toOffset: BigInt(row.to_offset),
    dayMs: Number(row.day_ms),
  }))
}

/** Leaves and the offsets that they have, ends exclusive. */
export interface Blocks {
  readonly fromLeaf: bigint
  readonly toLeaf: bigint
  readonly fromOffset: bigint
  readonly toOffset: bigint
}

/**
 * That blocks in which `found` leaves were counted lack none but those that went away, and none of these in [from, to). Where the
 * record says that they were must be where no row is. Throws DETACHED, LOG_DAMAGED.
 */
export async function requireWhole(
  pool: Pool,
  id: LogId,
  blocks: Blocks,
  { from, to }: { readonly from: bigint; readonly to: bigint },
  found: bigint,
): Promise<void> {
  const lacking = blocks.toLeaf - blocks.fromLeaf - found
  if (lacking === 0n) return
  let away = 0n
  let end = blocks.fromLeaf
  for (const run of await awayRuns(pool, id, { from: blocks.fromLeaf, to: blocks.toLeaf })) {
    if (run.fromOffset < to && run.toOffset > from) {
      const detached = await detachedIn(pool, id, { fromOffset: from, toOffset: to })
      if (detached !== null) throw detached
    }
    // Of two records of one leaf the second says nothing.
    const first = larger(run.fromLeaf, end)
    end = larger(end, smaller(run.toLeaf, blocks.toLeaf))
    if (end > first && (await isBetweenRows(pool, id, blocks, run))) away += end - first
  }
  if (away === lacking) return
  throw new ServiceError(
    'LOG_DAMAGED',
    `Log ${id} has ${found} rows for its leaves ${blocks.fromLeaf} to ${blocks.toLeaf}, among which the offsets ${from} to ${to} lie`,
  )
}

/** Whether leaves and offsets of a run lie alike between the rows of the blocks, and no row lies within. */
async function isBetweenRows(
  pool: Pool,
  id: LogId,
  { fromLeaf, toLeaf, fromOffset, toOffset }: Blocks,
  run: AwayRun,
): Promise<boolean> {
  const reaches = (leaf: bigint, least: bigint, offset: bigint, bound: bigint): boolean =>
    leaf >= least ? offset >= bound : offset < bound
  if (!reaches(run.fromLeaf, fromLeaf, run.fromOffset, fromOffset)) return false
  if (run.toLeaf <= toLeaf ? run.toOffset > toOffset : run.toOffset <= toOffset) return false
  const offsets = (column: string): string => `log_id = $1 and ${column} >= $2 and ${column} < $3`
  const { rowCount } = await pool.query(
    `select from (
       select leaf_index, "offset" as at from public.events where ${offsets('"offset"')}
       union all select leaf_index, "offset" from public.dead_letters where ${offsets('"offset"')}
       union all select leaf_index, from_offset from public.gaps where ${offsets('from_offset')}) leaves
      where (at < $4) is distinct from (leaf_index < $5) or (at >= $6) is distinct from (leaf_index >= $7) limit 1`,
    [id, ...[fromOffset, toOffset, run.fromOffset, run.fromLeaf, run.toOffset, run.toLeaf].map(String)],
  )
  return rowCount === 0
}

/** How many days with events are detached now, the first of them and the last; null when none is. */
export async function detachedDays(pool: Pool): Promise<DetachedDays | null> {
  const { rows } = await pool.query<{ days: string; first: string | null; last: string | null }>(
    `select count(*) as days, min(day)::text as first, max(day)::text as last from (${AWAY}) away`,
  )
  const { days = '0', first = null, last = null } = rows[0] ?? {}
  return first === null || last === null ? null : { days: Number(days), first, last }
}

/** The first offset in [from, to) of leaves that are away; null when none is. */
export async function firstAway(
  pool: Pool,
  id: LogId,
  { from, to }: { readonly from: bigint; readonly to: bigint },
): Promise<bigint | null> {
  const { rows } = await pool.query<{ first: string | null }>(
    `select min(greatest(from_offset, $2::bigint)) as first from ${runsAmong('offset')} l
      where detachment in (select sequence from (${AWAY}) away)`,
    [id, from.toString(), to.toString()],
  )
  const first = rows[0]?.first ?? null
  return first === null ? null : BigInt(first)
}
