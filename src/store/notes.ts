import { drizzle, sql } from '../../drizzle/orm.ts'
import { hashFromBytes } from '../domain/hash.ts'
import { type LeafIndex, type LogId, leafIndex, logId } from '../domain/model.ts'
import type {
  NoteId,
  NoteStore,
  NoteToPlace,
  PlacedNote,
  Placement,
  PlaceStanding,
  WaitingNote,
} from '../ports.ts'
import { isUuid } from './checkpoints.ts'
import type { Database } from './database.ts'
import { guarded } from './failure.ts'
import { onlyRow } from './transaction.ts'

/** Of each log, and of all: what one look brings. */
const NOTES_PER_LOG = 200
const MAX_NOTES = 5_000
/** Longer than a checkpoint takes from its signatures to its commit. */
const SETTLED_MINUTES = 10
/** So long a place's settled checkpoints are not looked at again. A database may be put back to a backup meanwhile. */
const SETTLED_FOR_MS = 600_000
/** The same failure of a note is written down once in this time. */
const SAME_FAILURE_MINUTES = 5
const MAX_DETAIL_LENGTH = 1_000
/** Of the newest failures of a place, so many are looked at for one of a note that still waits. */
const MAX_FAILURES = 2_000

const UNSETTLED: Settled = { sequence: '0', untilMs: 0, waiting: 0 }

type Db = ReturnType<typeof drizzle>

/** Up to a checkpoint's sequence nothing waits at a place. */
interface Settled {
  readonly sequence: string
  readonly untilMs: number
  /** Notes of checkpoints behind it that waited. */
  readonly waiting: number
}

/**
 * The checkpoints themselves are the list of what is to be sent: a note waits at a place as long as nothing is written down
 * of its log and size there. So none is forgotten, whatever dies, and a place that is new gets all of them.
 */
export function createNoteStore(database: Database, now: () => number = Date.now): NoteStore {
  const db = drizzle(database.readers)
  const settled = new Map<string, Settled>()
  const settledOf = (place: string): Settled => {
    const known = settled.get(place)
    return known === undefined || known.untilMs < now() ? UNSETTLED : known
  }
  const look = async (place: string): Promise<PlaceStanding> => {
    const { sequence: from, untilMs } = settledOf(place)
    const row = await readStanding(db, place, from)
    if (row.settled !== null)
      settled.set(place, {
        sequence: row.settled,
        untilMs: from === '0' ? now() + SETTLED_FOR_MS : untilMs,
        waiting: Number(row.waiting),
      })
    return toStanding(place, row)
  }
  // Readiness, metrics and the relay of a process ask side by side, also while an answer takes long: one look serves all.
  const pending = new Map<string, Promise<PlaceStanding>>()
  const standing = (place: string): Promise<PlaceStanding> => {
    const looking = pending.get(place) ?? look(place).finally(() => pending.delete(place))
    pending.set(place, looking)
    return looking
  }
  return {
    notesToPlace: (place, except = []) =>
      guarded('looking for notes to send', () => readNotes(db, place, settledOf(place), except)),
    heldSize: (place, id) => guarded('looking for what a place holds', () => readHeldSize(db, place, id)),
    recordPlacement: (place, note, placement) =>
      guarded('recording where a note is held', () => insertPlacement(db, place, note, placement)),
    recordFailure: (place, note, failure) =>
      guarded('recording that a note was not sent', () => insertFailure(db, place, note, failure)),
    standingOf: (places) => guarded('looking for notes that wait', () => Promise.all(places.map(standing))),
    placedNotes: (checkpointId) =>
      guarded('looking for where notes are held', async () =>
        isUuid(checkpointId) ? await readPlaced(db, checkpointId) : [],
      ),
    signedSizes: (id) =>
      guarded('looking for signed checkpoints', async () => {
        const { rows } = await db.execute<{ size: string }>(sql`
          select distinct size from public.checkpoint_positions where log_id = ${id} and note is not null`)
        return new Set(rows.map(({ size }) => BigInt(size)))
      }),
  }
}

const exceptText = (except: readonly NoteId[]) =>
  except.length === 0
    ? sql``
    : sql` and not exists (select from unnest(${sql.param(except.map((id) => id.checkpointId))}::uuid[],
                                             ${sql.param(except.map((id) => id.logId))}::integer[]) x (checkpoint_id, log_id)
                          where x.checkpoint_id = p.checkpoint_id and x.log_id = p.log_id)`

/** One for each log and size: several checkpoints may say the same. */
const waitingText = (place: string, settledSequence: string, except: readonly NoteId[] = []) => sql`
  select distinct on (p.log_id, p.size) p.log_id, p.size, p.checkpoint_id, p.note, p.root_hash, c.created_at, c.sequence
    from public.checkpoints c
    join public.checkpoint_positions p on p.checkpoint_id = c.id
   where c.sequence > ${settledSequence}::bigint and p.note is not null
     and not exists (select from public.note_placements d
                      where d.place = ${place} and d.log_id = p.log_id and d.size = p.size)${exceptText(except)}
   order by p.log_id, p.size, c.sequence`

/** Null for the infinities, which a row that nobody here wrote may have. */
const finiteMs = (column: string) =>
  sql.raw(`case when isfinite(${column}) then (extract(epoch from ${column}) * 1000)::bigint end`)

interface WaitingRow extends Record<string, unknown> {
  readonly log_id: number
  readonly size: string
  readonly checkpoint_id: string
  readonly note: string
  readonly root_hash: Buffer
  readonly created_ms: string | null
}

/**
 * The same, some of each log: where much waits, or nothing is known to be settled, each log's index is read from its smallest size
 * on, so that a place that is new to a large installation does not cost a sort of everything at each look.
 */
const someOfEachText = (place: string, except: readonly NoteId[]) => sql`
  select l.id as log_id, w.size, w.checkpoint_id, w.note, w.root_hash, c.created_at
    from public.partition_logs l
    cross join lateral (
      select distinct on (p.size) p.size, p.checkpoint_id, p.note, p.root_hash
        from public.checkpoint_positions p
       where p.log_id = l.id and p.note is not null
         and not exists (select from public.note_placements d
                          where d.place = ${place} and d.log_id = p.log_id and d.size = p.size)${exceptText(except)}
       order by p.size, p.checkpoint_id limit ${NOTES_PER_LOG}) w
    join public.checkpoints c on c.id = w.checkpoint_id`

/** The smallest of each log first, then the next ones: a log that a place does not take holds up no other. */
async function readNotes(
  db: Db,
  place: string,
  { sequence, waiting: behind }: Settled,
  except: readonly NoteId[],
): Promise<readonly WaitingNote[]> {
  const isMuch = sequence === '0' || behind > MAX_NOTES
  const waiting = isMuch ? someOfEachText(place, except) : waitingText(place, sequence, except)
  const { rows } = await db.execute<WaitingRow>(sql`
    select log_id, size, checkpoint_id, note, root_hash, ${finiteMs('created_at')} as created_ms
      from (select w.*, row_number() over (partition by log_id order by size) as nth from (${waiting}) w) w
     where nth <= ${NOTES_PER_LOG} order by nth, log_id limit ${MAX_NOTES}`)
  return rows.map((row) => ({
    logId: logId(row.log_id),
    checkpointId: row.checkpoint_id,
    size: leafIndex(BigInt(row.size)),
    note: row.note,
    root: hashFromBytes(row.root_hash),
    signedAtMs: row.created_ms === null ? null : Number(row.created_ms),
  }))
}

async function readHeldSize(db: Db, place: string, id: LogId): Promise<LeafIndex> {
  const { rows } = await db.execute<{ size: string }>(sql`
    select coalesce(max(size), 0) as size from public.note_placements
     where place = ${place} and log_id = ${id} and outcome = 'held'`)
  return leafIndex(BigInt(onlyRow(rows, 'the size').size))
}

async function insertPlacement(
  db: Db,
  place: string,
  { logId: id, size, checkpointId }: NoteToPlace,
  placement: Placement,
): Promise<void> {
  const detail = placement.outcome === 'held' ? null : placement.detail.slice(0, MAX_DETAIL_LENGTH)
  const cosignatures = placement.outcome === 'held' ? (placement.cosignatures ?? null) : null
  await db.execute(sql`
    insert into public.note_placements (place, log_id, size, checkpoint_id, outcome, detail, cosignatures)
    values (${place}, ${id}, ${size}, ${checkpointId}, ${placement.outcome}, ${detail}, ${cosignatures})
    on conflict do nothing`)
}

async function insertFailure(
  db: Db,
  place: string,
  { logId: id, size }: NoteToPlace,
  { code, detail }: { readonly code: string; readonly detail: string },
): Promise<void> {
  const shown = detail.replaceAll('\u0000', '\ufffd').slice(0, MAX_DETAIL_LENGTH)
  await db.execute(sql`
    insert into public.note_failures (place, log_id, size, code, detail)
    select ${place}, ${id}::integer, ${size}::bigint, ${code}, ${shown}
     where not exists (select from public.note_failures f
                        where f.place = ${place} and f.log_id = ${id} and f.size = ${size} and f.detail = ${shown}
                          and f.failed_at > clock_timestamp() - make_interval(mins => ${SAME_FAILURE_MINUTES}))`)
}

interface StandingRow extends Record<string, unknown> {
  readonly waiting: string
  readonly oldest_ms: string | null
  readonly settled: string | null
  readonly conflicts: string
  readonly placed_ms: string | null
  readonly code: string | null
  readonly detail: string | null
  readonly failed_ms: string | null
}

async function readStanding(db: Db, place: string, settledSequence: string): Promise<StandingRow> {
  const { rows } = await db.execute<StandingRow>(sql`
    with waiting as (${waitingText(place, settledSequence)})
    select (select count(*) from waiting) as waiting,
           (select (extract(epoch from min(created_at) filter (where isfinite(created_at))) * 1000)::bigint
              from waiting) as oldest_ms,
           (select least(sequence, (select min(w.sequence) - 1 from waiting w)) from public.checkpoints
             where created_at < clock_timestamp() - make_interval(mins => ${SETTLED_MINUTES})
             order by sequence desc limit 1) as settled,
           (select count(*) from public.note_placements where place = ${place} and outcome = 'conflict') as conflicts,
           (select (extract(epoch from max(placed_at)) * 1000)::bigint from public.note_placements
             where place = ${place}) as placed_ms,
           f.code, f.detail, (extract(epoch from f.failed_at) * 1000)::bigint as failed_ms
      from (select) one
      left join lateral (
        select code, detail, failed_at
          from (select * from public.note_failures where place = ${place} order by sequence desc
                 limit ${MAX_FAILURES}) f
         where not exists (select from public.note_placements d
                            where d.place = ${place} and d.log_id = f.log_id and d.size = f.size)
         order by sequence desc limit 1) f on exists (select from waiting)`)
  return onlyRow(rows, 'the standing')
}

const dateOf = (ms: string | null): Date | null => (ms === null ? null : new Date(Number(ms)))

function toStanding(place: string, row: StandingRow): PlaceStanding {
  const { code, detail } = row
  const at = dateOf(row.failed_ms)
  const waiting = Number(row.waiting)
  return {
    place,
    waiting,
    oldestWaiting: dateOf(row.oldest_ms),
    conflicts: Number(row.conflicts),
    lastPlaced: dateOf(row.placed_ms),
    failure: waiting > 0 && code !== null && detail !== null && at !== null ? { code, detail, at } : null,
  }
}

interface PlacedRow extends Record<string, unknown> {
  readonly log_id: number
  readonly place: string
  readonly outcome: Placement['outcome']
  readonly detail: string | null
  readonly cosignatures: string | null
  readonly placed_ms: string
}

async function readPlaced(db: Db, checkpointId: string): Promise<readonly PlacedNote[]> {
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
