/** What became of a checkpoint's notes, and which of them wait. */
import { type drizzle, sql } from '../../drizzle/orm.ts'
import { logId } from '../domain/model.ts'
import type { PlacedNote, Placement, UnplacedNote } from '../ports.ts'

/** Of the newest failures of a place, so many are looked at for those of notes that still wait. */
export const MAX_FAILURES = 2_000

type Db = ReturnType<typeof drizzle>

interface PlacedRow extends Record<string, unknown> {
  readonly log_id: number
  readonly place: string
  readonly outcome: Placement['outcome']
  readonly detail: string | null
  readonly cosignatures: string | null
  readonly placed_ms: string
}

/** By log and place. */
export async function readPlaced(db: Db, checkpointId: string): Promise<readonly PlacedNote[]> {
  const { rows } = await db.execute<PlacedRow>(sql`
    select d.log_id, d.place, d.outcome, d.detail, d.cosignatures,
           (extract(epoch from d.placed_at) * 1000)::bigint as placed_ms
      from public.checkpoint_positions p
      join public.note_placements d on d.log_id = p.log_id and d.size = p.size
     where p.checkpoint_id = ${checkpointId} and p.note is not null
     order by d.log_id, d.place`)
  return rows.map((row) => ({
    logId: logId(row.log_id),
    place: row.place,
    outcome: row.outcome,
    detail: row.detail,
    cosignatures: row.cosignatures,
    placedAt: new Date(Number(row.placed_ms)),
  }))
}

interface UnplacedRow extends Record<string, unknown> {
  readonly log_id: number
  readonly place: string
  readonly code: string | null
  readonly detail: string | null
  readonly since_ms: string | null
  readonly at_ms: string | null
}

/** A smaller note of the log goes first, but for one that is not sent at all. */
export async function readUnplaced(
  db: Db,
  checkpointId: string,
  places: readonly string[],
): Promise<readonly UnplacedNote[]> {
  const { rows } = await db.execute<UnplacedRow>(sql`
    with unplaced as (
      select p.log_id, p.size, n.place
        from public.checkpoint_positions p
        cross join unnest(${sql.param([...places])}::text[]) n (place)
       where p.checkpoint_id = ${checkpointId} and p.note is not null
         and not exists (select from public.note_placements d
                          where d.place = n.place and d.log_id = p.log_id and d.size = p.size)),
    recent as (
      select f.* from (select distinct place from unplaced) n
       cross join lateral (select * from public.note_failures where place = n.place
                            order by sequence desc limit ${MAX_FAILURES}) f)
    select u.log_id, u.place,
           case when w.detail is null then (array_agg(f.code order by f.sequence desc))[1] else 'NOTE_REFUSED' end as code,
           coalesce(w.detail, (array_agg(f.detail order by f.sequence desc))[1]) as detail,
           (extract(epoch from coalesce(w.found_at, min(f.failed_at))) * 1000)::bigint as since_ms,
           (extract(epoch from coalesce(w.found_at, max(f.failed_at))) * 1000)::bigint as at_ms
      from unplaced u
      left join public.note_flaws w on w.place = u.place and w.checkpoint_id = ${checkpointId} and w.log_id = u.log_id
      left join recent f
        on f.place = u.place and f.log_id = u.log_id
       and (f.size = u.size or f.size < u.size and f.code <> 'NOTE_REFUSED')
       and not exists (select from public.note_placements d
                        where d.place = f.place and d.log_id = f.log_id and d.size = f.size)
     group by u.log_id, u.place, w.detail, w.found_at order by u.log_id, u.place`)
  return rows.map(({ log_id, place, code, detail, since_ms, at_ms }) => {
    const [since, at] = [since_ms, at_ms].map((ms) => (ms === null ? null : new Date(Number(ms))))
    if (code === null || detail === null || !since || !at)
      return { logId: logId(log_id), place, failure: null }
    return { logId: logId(log_id), place, failure: { code, detail, since, at } }
  })
}
