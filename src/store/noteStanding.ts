/** How a place stands: what waits there, counted to a bound, and what it does not take. */
import { type drizzle, sql } from '../../drizzle/orm.ts'
import { leafIndex } from '../domain/model.ts'
import type { FlawedStanding, PlaceStanding } from '../ports.ts'
import { isNotPlaced, logSizes, type Surveyed, waits } from './noteSurvey.ts'
import { MAX_FAILURES } from './placedNotes.ts'
import { onlyRow } from './transaction.ts'

type Db = ReturnType<typeof drizzle>

/** Notes that are counted; of what is more than that, only that it is. */
export const MAX_COUNTED = 10_000
/** Logs that are named of those that a place does not take. */
const MAX_REFUSED_SHOWN = 20
/** Checkpoints of one log and size that are looked at for the oldest of them. */
const MAX_ALIKE = 10

interface StandingRow extends Record<string, unknown> {
  readonly waiting: number
  readonly more: boolean
  readonly oldest_ms: string | null
  readonly newest: string | null
  readonly conflicts: number
  readonly placed_ms: string | null
  readonly code: string | null
  readonly detail: string | null
  readonly failed_ms: string | null
  readonly refused_logs: number
  readonly refused: readonly RefusedRow[]
  readonly flawed: number
  readonly more_flawed: boolean
  readonly first_flawed: FlawedRow | null
}

interface LogRow {
  readonly topic: string
  readonly partition: number
  readonly incarnation: number
}

interface FlawedRow extends LogRow {
  readonly checkpoint_id: string
  /** As text: JSON's numbers are no bigints. */
  readonly size: string
  readonly detail: string
  readonly since_ms: number
}

interface RefusedRow extends LogRow {
  readonly since_ms: number
  readonly at_ms: number
  readonly code: string
  readonly detail: string
}

/** Positions of the newest checkpoints behind the mark, newest first: rows `p`. */
export const newerPositions = ({ mark }: Surveyed) => sql`
  select p.*, c.created_at, c.sequence
    from (select id, created_at, sequence from public.checkpoints where sequence > ${mark}::bigint
           order by sequence desc limit ${MAX_COUNTED + 1}) c
    cross join lateral (select log_id, size, checkpoint_id, note, root_hash from public.checkpoint_positions
                         where checkpoint_id = c.id offset 0) p
   limit ${MAX_COUNTED + 1}`

/** The checkpoint of a row `k`, by its index whatever the planner thinks. */
const itsCheckpoint = sql`cross join lateral (
  select created_at, sequence from public.checkpoints where id = k.checkpoint_id offset 0) c`

/** Reads as many rows as there are logs with something that waits, and some multiple of MAX_COUNTED and MAX_FAILURES. */
export async function readStanding(db: Db, place: string, surveyed: Surveyed): Promise<PlaceStanding> {
  const known = logSizes(surveyed.waiting)
  const { rows } = await db.execute<StandingRow>(sql`
    with newer as materialized (${newerPositions(surveyed)}),
    firsts as materialized (
      select b.log_id, b.size, p.checkpoint_id from ${known}
       cross join lateral (select p.checkpoint_id from public.checkpoint_positions p
                            where p.log_id = b.log_id and p.size = b.size and p.note is not null and ${waits(place)}
                            limit 1) p),
    known as materialized (
      select b.log_id, p.size, p.checkpoint_id, p.nth from ${known}
       cross join lateral (
         select r.*, row_number() over (order by r.size) as nth
           from (select log_id, size, checkpoint_id, note from public.checkpoint_positions
                  where log_id = b.log_id and size >= b.size order by size limit ${MAX_COUNTED + 1}) r) p
       where p.nth > ${MAX_COUNTED} or p.note is not null and ${waits(place)}
       limit ${MAX_COUNTED + 1}),
    waiting as materialized (
      select log_id, size, min(created_at) filter (where isfinite(created_at)) as created_at, max(sequence) as sequence
        from (select log_id, size, created_at, sequence from newer p where note is not null and ${waits(place)}
              union all
              select k.log_id, k.size, c.created_at, c.sequence
                from (select log_id, size, checkpoint_id from firsts
                      union select log_id, size, checkpoint_id from known where nth <= ${MAX_COUNTED}) k ${itsCheckpoint}) w
       group by log_id, size),
    recent as materialized (
      select sequence, log_id, size, code, detail, failed_at from public.note_failures
       where place = ${place} order by sequence desc limit ${MAX_FAILURES}),
    failing as materialized (
      select f.*, case when (select count(*) from recent) < ${MAX_FAILURES} then f.failed_at
                       else least(f.failed_at, w.created_at) end as since
        from recent f
        cross join lateral (
          select count(*) as found, min(c.created_at) filter (where isfinite(c.created_at)) as created_at
            from (select p.checkpoint_id from public.checkpoint_positions p
                   where p.log_id = f.log_id and p.size = f.size and p.note is not null and ${waits(place)}
                   limit ${MAX_ALIKE}) k ${itsCheckpoint}) w
       where w.found > 0),
    flaws as materialized (
      select sequence, checkpoint_id, log_id, size, detail, found_at from public.note_flaws
       where place = ${place} order by sequence desc limit ${MAX_COUNTED + 1}),
    flawed as materialized (
      select p.* from flaws p
       where (select note is not null from public.checkpoint_positions
               where checkpoint_id = p.checkpoint_id and log_id = p.log_id) and ${isNotPlaced(place)}),
    first_flawed as (
      select l.topic, l.partition, l.incarnation, f.checkpoint_id, f.size::text, f.detail,
             (extract(epoch from f.found_at) * 1000)::bigint as since_ms
        from (select * from flawed order by sequence limit 1) f join public.partition_logs l on l.id = f.log_id),
    refused as (select l.topic, l.partition, l.incarnation, count(*) over () as logs,
                       (extract(epoch from min(f.since)) * 1000)::bigint as since_ms,
                       (extract(epoch from max(f.failed_at)) * 1000)::bigint as at_ms,
                       (array_agg(f.code order by f.sequence desc))[1] as code,
                       (array_agg(f.detail order by f.sequence desc))[1] as detail
                  from failing f join public.partition_logs l on l.id = f.log_id
                 group by l.id order by min(f.since), l.id limit ${MAX_REFUSED_SHOWN})
    select (select least(count(*), ${MAX_COUNTED})::integer from waiting) as waiting,
           (select count(*) > ${MAX_COUNTED} from waiting) or (select count(*) > ${MAX_COUNTED} from newer)
             or exists (select from known where nth > ${MAX_COUNTED}) or (select count(*) > ${MAX_COUNTED} from known) as more,
           (select (extract(epoch from min(created_at)) * 1000)::bigint from waiting) as oldest_ms,
           (select max(sequence) from waiting) as newest,
           (select count(*)::integer from (select from public.note_placements
             where place = ${place} and outcome = 'conflict' limit ${MAX_COUNTED}) c) as conflicts,
           (select (extract(epoch from max(placed_at)) * 1000)::bigint from public.note_placements
             where place = ${place}) as placed_ms,
           (select coalesce(max(logs), 0)::integer from refused) as refused_logs,
           (select coalesce(json_agg(r order by since_ms), '[]') from refused r) as refused,
           (select least(count(*), ${MAX_COUNTED})::integer from flawed) as flawed,
           (select count(*) > ${MAX_COUNTED} from flaws) as more_flawed,
           (select row_to_json(r) from first_flawed r) as first_flawed,
           f.code, f.detail, (extract(epoch from f.failed_at) * 1000)::bigint as failed_ms
      from (select) one
      left join lateral (select code, detail, failed_at from failing order by sequence desc limit 1) f on true`)
  return toStanding(place, surveyed, onlyRow(rows, 'the standing'))
}

const dateOf = (ms: string | null): Date | null => (ms === null ? null : new Date(Number(ms)))

function flawedOf({
  flawed: count,
  more_flawed: more,
  first_flawed: first,
}: StandingRow): FlawedStanding | null {
  if (first === null) return null
  const { checkpoint_id, size, since_ms, ...rest } = first
  const since = new Date(since_ms)
  return {
    count,
    more,
    first: { ...rest, checkpointId: checkpoint_id, size: leafIndex(BigInt(size)), since },
  }
}

function toStanding(place: string, { isWhole }: Surveyed, row: StandingRow): PlaceStanding {
  const { code, detail, waiting } = row
  const at = dateOf(row.failed_ms)
  return {
    place,
    waiting,
    moreWait: row.more || !isWhole,
    oldestWaiting: dateOf(row.oldest_ms),
    newestWaiting: row.newest === null ? null : BigInt(row.newest),
    refusedLogs: row.refused_logs,
    refused: row.refused.map(({ since_ms, at_ms, ...log }) => ({
      ...log,
      since: new Date(since_ms),
      at: new Date(at_ms),
    })),
    conflicts: row.conflicts,
    flawed: flawedOf(row),
    lastPlaced: dateOf(row.placed_ms),
    failure: waiting > 0 && code !== null && detail !== null && at !== null ? { code, detail, at } : null,
  }
}
