/** Days that were detached on purpose: what a reader of the log must know who comes upon them. */
import type { Pool } from 'pg'
import type { DetachedDays } from '../domain/custody.ts'
import { HASH_BYTES } from '../domain/hash.ts'
import type { Hash, LogId } from '../domain/model.ts'
import { ServiceError } from '../errors.ts'
import { direct } from './bufferMethods.ts'
import { smaller } from './int8.ts'

/**
 * Of each day the newest detachment, as long as its partition was not attached again; `standing` is the table, when it is still
 * there. Its name follows from the day: what the record says of it is only for people.
 */
export const AWAY = `
  select d.sequence, d.day, d.rows, t.standing
    from (select distinct on (day) sequence, day, rows from public.detached_partitions
           where isfinite(day) order by day, sequence desc) d
   cross join lateral (select to_regclass('public.events_' || to_char(d.day, 'YYYYMMDD')) as standing) t
   where not exists (select from pg_catalog.pg_inherits i where i.inhrelid = t.standing)`

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
    join public.detached_leaves l on l.detachment = a.sequence and l.log_id = $1
     and l.from_${by} < $3 and l.to_${by} > $2
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

/** Leaves without holes that are away, whole: they may reach over the part that was asked for. */
export interface AwayRun {
  readonly fromLeaf: bigint
  readonly toLeaf: bigint
  readonly fromOffset: bigint
  readonly toOffset: bigint
  /** Ingestion time of all of them: [dayMs, dayMs + one day). */
  readonly dayMs: number
}

/** With leaves among [from, to), in order. */
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
       join public.detached_leaves l on l.detachment = a.sequence and l.log_id = $1 and l.from_leaf < $3 and l.to_leaf > $2
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

/**
 * That blocks in which `found` leaves were counted lack none but those that went away, and none of these in [from, to). Throws
 * DETACHED, LOG_DAMAGED.
 */
export async function requireWhole(
  pool: Pool,
  id: LogId,
  blocks: { readonly from: bigint; readonly to: bigint },
  { from, to }: { readonly from: bigint; readonly to: bigint },
  found: bigint,
): Promise<void> {
  const lacking = blocks.to - blocks.from - found
  if (lacking === 0n) return
  let away = 0n
  for (const run of await awayRuns(pool, id, blocks)) {
    if (run.fromOffset < to && run.toOffset > from) {
      const detached = await detachedIn(pool, id, { fromOffset: from, toOffset: to })
      if (detached !== null) throw detached
    }
    away += smaller(run.toLeaf, blocks.to) - larger(run.fromLeaf, blocks.from)
  }
  if (away === lacking) return
  throw new ServiceError(
    'LOG_DAMAGED',
    `Log ${id} has ${found} rows for its leaves ${blocks.from} to ${blocks.to}, among which the offsets ${from} to ${to} lie`,
  )
}

const larger = (left: bigint, right: bigint): bigint => (left > right ? left : right)

/** How many days with events are detached now, the first of them and the last; null when none is. */
export async function detachedDays(pool: Pool): Promise<DetachedDays | null> {
  const { rows } = await pool.query<{ days: string; first: string | null; last: string | null }>(
    `select count(*) as days, min(day)::text as first, max(day)::text as last from (${AWAY}) away where rows > 0`,
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
    `select min(greatest(from_offset, $2::bigint)) as first from public.detached_leaves
      where log_id = $1 and from_offset < $3 and to_offset > $2 and detachment in (select sequence from (${AWAY}) away)`,
    [id, from.toString(), to.toString()],
  )
  const first = rows[0]?.first ?? null
  return first === null ? null : BigInt(first)
}
