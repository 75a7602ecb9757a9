import { drizzle, sql } from '../../drizzle/orm.ts'
import { hashFromBytes } from '../domain/hash.ts'
import { type LeafIndex, type LogId, leafIndex, logId } from '../domain/model.ts'
import type { NoteStore, NotesLeftOut, NoteToPlace, Placement, PlaceStanding, WaitingNote } from '../ports.ts'
import { isUuid } from './checkpoints.ts'
import type { Database } from './database.ts'
import { guarded } from './failure.ts'
import { MAX_FAILURES, readPlaced, readUnplaced } from './placedNotes.ts'
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
/** Logs that are named of those that a place does not take. */
const MAX_REFUSED_SHOWN = 20

/** Logs that fail, and do not keep the mark of what is settled back for the others. */
const MAX_APART = 100

const UNSETTLED: Settled = { sequence: '0', apart: [], untilMs: 0, waiting: 0 }

type Db = ReturnType<typeof drizzle>

/** Up to a checkpoint's sequence nothing waits at a place, but for the logs that stand apart: those that it has refused. */
interface Settled {
  readonly sequence: string
  readonly apart: readonly number[]
  readonly untilMs: number
  /** Notes of checkpoints behind it that waited, without those logs. */
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
    const from = settledOf(place)
    const row = await readStanding(db, place, from)
    if (row.settled !== null)
      settled.set(place, {
        sequence: row.settled,
        apart: row.apart,
        untilMs: from === UNSETTLED ? now() + SETTLED_FOR_MS : from.untilMs,
        waiting: Number(row.waiting_others),
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
  const standingFromNow = async (place: string): Promise<PlaceStanding> => {
    await pending.get(place)?.catch(() => undefined)
    return await standing(place)
  }
  return {
    notesToPlace: (place, except = {}) =>
      guarded('looking for notes to send', () => readNotes(db, place, settledOf(place), except)),
    heldSize: (place, id) => guarded('looking for what a place holds', () => readHeldSize(db, place, id)),
    recordPlacement: (place, note, placement) =>
      guarded('recording where a note is held', () => insertPlacement(db, place, note, placement)),
    recordFailure: (place, note, failure) =>
      guarded('recording that a note was not sent', () => insertFailure(db, place, note, failure)),
    standingOf: (places, { fromNow = false } = {}) =>
      guarded('looking for notes that wait', () =>
        Promise.all(places.map(fromNow ? standingFromNow : standing)),
      ),
    placedNotes: (checkpointId) =>
      guarded('looking for where notes are held', async () =>
        isUuid(checkpointId) ? await readPlaced(db, checkpointId) : [],
      ),
    unplacedNotes: (checkpointId, places) =>
      guarded('looking for where notes are not held', async () =>
        isUuid(checkpointId) && places.length > 0 ? await readUnplaced(db, checkpointId, places) : [],
      ),
    signedSizes: (id) =>
      guarded('looking for signed checkpoints', async () => {
        const { rows } = await db.execute<{ size: string }>(sql`
          select distinct size from public.checkpoint_positions where log_id = ${id} and note is not null`)
        return new Set(rows.map(({ size }) => BigInt(size)))
      }),
  }
}

const exceptText = ({ notes = [] }: NotesLeftOut) =>
  notes.length === 0
    ? sql``
    : sql` and not exists (select from unnest(${sql.param(notes.map((id) => id.checkpointId))}::uuid[],
                                             ${sql.param(notes.map((id) => id.logId))}::integer[]) x (checkpoint_id, log_id)
                          where x.checkpoint_id = p.checkpoint_id and x.log_id = p.log_id)`

const exceptLogs = (column: 'p.log_id' | 'l.id', { logs = [] }: NotesLeftOut) =>
  logs.length === 0 ? sql`` : sql` and ${sql.raw(column)} <> all(${sql.param([...logs])}::integer[])`

const notPlaced = (place: string) => sql`not exists (select from public.note_placements d
                      where d.place = ${place} and d.log_id = p.log_id and d.size = p.size)`

/** One for each log and size, since several checkpoints may say the same; without the logs that stand apart. */
const waitingText = (place: string, { sequence, apart }: Settled, except: NotesLeftOut = {}) => sql`
  select distinct on (p.log_id, p.size) p.log_id, p.size, p.checkpoint_id, p.note, p.root_hash, c.created_at, c.sequence
    from public.checkpoints c
    join public.checkpoint_positions p on p.checkpoint_id = c.id
   where c.sequence > ${sequence}::bigint and p.note is not null
     and ${notPlaced(place)}${exceptText(except)}${exceptLogs('p.log_id', { logs: [...apart.map(logId), ...(except.logs ?? [])] })}
   order by p.log_id, p.size, c.sequence`

/** What waits of the logs that stand apart, from their beginning on. */
const waitingApart = (place: string, { apart }: Settled) => sql`
  select distinct on (p.log_id, p.size) p.log_id, p.size, c.created_at, c.sequence
    from public.checkpoint_positions p
    join public.checkpoints c on c.id = p.checkpoint_id
   where p.log_id = any(${sql.param([...apart])}::integer[]) and p.note is not null and ${notPlaced(place)}
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
const someOfEachText = (place: string, except: NotesLeftOut, only?: readonly number[]) => sql`
  select l.id as log_id, w.size, w.checkpoint_id, w.note, w.root_hash, c.created_at
    from public.partition_logs l
    cross join lateral (
      select distinct on (p.size) p.size, p.checkpoint_id, p.note, p.root_hash
        from public.checkpoint_positions p
       where p.log_id = l.id and p.note is not null and ${notPlaced(place)}${exceptText(except)}
       order by p.size, p.checkpoint_id limit ${NOTES_PER_LOG}) w
    join public.checkpoints c on c.id = w.checkpoint_id
   where ${only === undefined ? sql`true` : sql`l.id = any(${sql.param([...only])}::integer[])`}${exceptLogs('l.id', except)}`

/** The smallest of each log first, then the next ones: a log that a place does not take holds up no other. */
async function readNotes(
  db: Db,
  place: string,
  settled: Settled,
  except: NotesLeftOut,
): Promise<readonly WaitingNote[]> {
  const isMuch = settled.sequence === '0' || settled.waiting > MAX_NOTES
  const waiting = isMuch ? someOfEachText(place, except) : withApart(place, settled, except)
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

/** Logs that stand apart may have much that waits: some of each. */
function withApart(place: string, settled: Settled, except: NotesLeftOut) {
  const left = new Set<number>(except.logs)
  const apart = settled.apart.filter((id) => !left.has(id))
  const others = waitingText(place, settled, except)
  if (apart.length === 0) return others
  const columns = sql.raw('log_id, size, checkpoint_id, note, root_hash, created_at')
  return sql`select ${columns} from (${others}) o
   union all select ${columns} from (${someOfEachText(place, except, apart)}) a`
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
     where not exists (select from (select * from public.note_failures where place = ${place}
                                     order by sequence desc limit ${MAX_FAILURES}) f
                        where f.log_id = ${id} and f.size = ${size} and f.detail = ${shown}
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
  readonly newest: string | null
  readonly waiting_others: string
  readonly apart: readonly number[]
  readonly refused_logs: number
  readonly refused: readonly RefusedRow[]
}

interface RefusedRow {
  readonly topic: string
  readonly partition: number
  readonly incarnation: number
  readonly since_ms: number
  readonly at_ms: number
  readonly code: string
  readonly detail: string
}

async function readStanding(db: Db, place: string, settled: Settled): Promise<StandingRow> {
  const { rows } = await db.execute<StandingRow>(sql`
    with waiting as (
      select log_id, size, created_at, sequence from (${waitingText(place, settled)}) o
      union all select * from (${waitingApart(place, settled)}) a),
    recent as (select sequence, log_id, size, code, detail, failed_at from public.note_failures
                where place = ${place} order by sequence desc limit ${MAX_FAILURES}),
    failing as (select f.*, case when (select count(*) from recent) < ${MAX_FAILURES} or not isfinite(w.created_at)
                                 then f.failed_at else least(f.failed_at, w.created_at) end as since
                  from recent f join waiting w on w.log_id = f.log_id and w.size = f.size),
    apart as (select log_id from failing group by log_id order by min(since), log_id limit ${MAX_APART}),
    others as (select sequence from waiting where log_id not in (select log_id from apart)),
    refused as (select l.topic, l.partition, l.incarnation, count(*) over () as logs,
                       (extract(epoch from min(f.since)) * 1000)::bigint as since_ms,
                       (extract(epoch from max(f.failed_at)) * 1000)::bigint as at_ms,
                       (array_agg(f.code order by f.sequence desc))[1] as code,
                       (array_agg(f.detail order by f.sequence desc))[1] as detail
                  from failing f join public.partition_logs l on l.id = f.log_id
                 group by l.id order by min(f.since), l.id limit ${MAX_REFUSED_SHOWN})
    select (select count(*) from waiting) as waiting,
           (select count(*) from others) as waiting_others,
           (select coalesce(json_agg(log_id), '[]') from apart) as apart,
           (select max(sequence) from waiting) as newest,
           (select (extract(epoch from min(created_at) filter (where isfinite(created_at))) * 1000)::bigint
              from waiting) as oldest_ms,
           (select least(sequence, (select min(w.sequence) - 1 from others w)) from public.checkpoints
             where created_at < clock_timestamp() - make_interval(mins => ${SETTLED_MINUTES})
             order by sequence desc limit 1) as settled,
           (select count(*) from public.note_placements where place = ${place} and outcome = 'conflict') as conflicts,
           (select (extract(epoch from max(placed_at)) * 1000)::bigint from public.note_placements
             where place = ${place}) as placed_ms,
           (select coalesce(max(logs), 0)::integer from refused) as refused_logs,
           (select coalesce(json_agg(r order by since_ms), '[]') from refused r) as refused,
           f.code, f.detail, (extract(epoch from f.failed_at) * 1000)::bigint as failed_ms
      from (select) one
      left join lateral (select code, detail, failed_at from failing order by sequence desc limit 1) f on true`)
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
    newestWaiting: row.newest === null ? null : BigInt(row.newest),
    refusedLogs: row.refused_logs,
    refused: row.refused.map(({ since_ms, at_ms, ...log }) => ({
      ...log,
      since: new Date(since_ms),
      at: new Date(at_ms),
    })),
    conflicts: Number(row.conflicts),
    lastPlaced: dateOf(row.placed_ms),
    failure: waiting > 0 && code !== null && detail !== null && at !== null ? { code, detail, at } : null,
  }
}
