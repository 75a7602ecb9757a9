import { drizzle, sql } from '../../drizzle/orm.ts'
import { hashFromBytes } from '../domain/hash.ts'
import { type LeafIndex, type LogId, leafIndex, logId } from '../domain/model.ts'
import type {
  FlawedNote,
  FlawedNotes,
  NoteStore,
  NotesLeftOut,
  NoteToPlace,
  Placement,
  PlaceStanding,
  WaitingNote,
} from '../ports.ts'
import { isUuid } from './checkpoints.ts'
import type { Database } from './database.ts'
import { guarded } from './failure.ts'
import { newerPositions, readStanding } from './noteStanding.ts'
import { isNotPlaced, logSizes, NoteSurvey, type Surveyed, waits } from './noteSurvey.ts'
import { MAX_FAILURES, readPlaced, readUnplaced } from './placedNotes.ts'
import { onlyRow } from './transaction.ts'

/** Of each log at most and at least, and of all: what one look for notes to send brings. */
const NOTES_PER_LOG = 200
const MIN_PER_LOG = 2
const MAX_NOTES = 5_000
/** What was surveyed is good for so long for who sends: the relay looks as often. */
const FRESH_MS = 5_000
/** The same failure of a note is written down once in this time. */
const SAME_FAILURE_MINUTES = 5
const MAX_DETAIL_LENGTH = 1_000
/** Flaws that are looked at again at once. */
const FLAWS_PER_PAGE = 1_000

type Db = ReturnType<typeof drizzle>

/** Of one place. */
interface Known {
  readonly survey: NoteSurvey
  lookedMs: number
  /** Readiness, metrics and the relay of a process ask side by side, also while an answer takes long: one look serves all. */
  looking: Promise<Surveyed> | null
  standing: Promise<PlaceStanding> | null
}

/**
 * The checkpoints themselves are the list of what is to be sent: a note waits at a place as long as nothing is written down
 * of its log and size there. So none is forgotten, whatever dies, and a place that is new gets all of them.
 */
export function createNoteStore(database: Database, now: () => number = Date.now): NoteStore {
  const db = drizzle(database.readers)
  const places = new Map<string, Known>()
  const knownOf = (place: string): Known => {
    const known = places.get(place)
    if (known !== undefined) return known
    const fresh: Known = {
      survey: new NoteSurvey(db, place, now),
      lookedMs: Number.NEGATIVE_INFINITY,
      ...{ looking: null, standing: null },
    }
    places.set(place, fresh)
    return fresh
  }
  const survey = (known: Known): Promise<Surveyed> => {
    known.looking ??= known.survey
      .look()
      .then(() => {
        known.lookedMs = performance.now()
        return known.survey.found
      })
      .finally(() => {
        known.looking = null
      })
    return known.looking
  }
  const surveyedOf = async (place: string): Promise<Surveyed> => {
    const known = knownOf(place)
    return performance.now() - known.lookedMs < FRESH_MS ? known.survey.found : await survey(known)
  }
  const standing = (place: string): Promise<PlaceStanding> => {
    const known = knownOf(place)
    known.standing ??= survey(known)
      .then((surveyed) => readStanding(db, place, surveyed))
      .finally(() => {
        known.standing = null
      })
    return known.standing
  }
  const standingFromNow = async (place: string): Promise<PlaceStanding> => {
    await knownOf(place).standing?.catch(() => undefined)
    return await standing(place)
  }
  return {
    notesToPlace: (place, except = {}) =>
      guarded('looking for notes to send', async () => readNotes(db, place, await surveyedOf(place), except)),
    heldSize: (place, id) => guarded('looking for what a place holds', () => readHeldSize(db, place, id)),
    recordPlacement: (place, note, placement) =>
      guarded('recording where a note is held', () => insertPlacement(db, place, note, placement)),
    recordFlaws: (place, flawed) =>
      guarded('recording that notes are flawed', () => insertFlaws(db, place, flawed)),
    flawedNotes: (place, from) =>
      guarded('looking for flawed notes', () => readFlawed(db, place, from ?? '0')),
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
 * The smallest of each log first, then the next ones: a log that a place does not take holds up no other. Of logs with older notes
 * that wait each one's index is read from the first of these on, so that what a place has costs nothing.
 */
async function readNotes(
  db: Db,
  place: string,
  surveyed: Surveyed,
  except: NotesLeftOut,
): Promise<readonly WaitingNote[]> {
  const left = new Set<LogId>(except.logs)
  const older = new Map([...surveyed.waiting].filter(([id]) => !left.has(id)))
  const perLog = Math.min(
    NOTES_PER_LOG,
    Math.max(MIN_PER_LOG, Math.ceil((2 * MAX_NOTES) / Math.max(older.size, 1))),
  )
  const { rows } = await db.execute<WaitingRow>(sql`
    with found as (
      select p.log_id, p.size, p.checkpoint_id, p.note, p.root_hash from (${newerPositions(surveyed)}) p
       where p.note is not null and ${waits(place)} and p.log_id <> all(${sql.param([...left])}::integer[])
      union all
      select w.* from ${logSizes(older)}
       cross join lateral (
         select p.log_id, p.size, p.checkpoint_id, p.note, p.root_hash
           from public.checkpoint_positions p
          where p.log_id = b.log_id and p.size >= b.size and p.note is not null and ${waits(place)}
          order by p.size, p.checkpoint_id limit ${perLog}) w),
    smallest as (select * from (select *, row_number() over (partition by log_id order by size, checkpoint_id) as nth
                                  from (select distinct on (log_id, size, checkpoint_id) * from found) a) n
              where nth <= ${perLog} order by nth, log_id limit ${MAX_NOTES})
    select s.log_id, s.size, s.checkpoint_id, s.note, s.root_hash, ${finiteMs('c.created_at')} as created_ms
      from smallest s
     cross join lateral (select created_at from public.checkpoints where id = s.checkpoint_id offset 0) c
     order by s.nth, s.log_id`)
  return rows.map(toNote)
}

const toNote = (row: WaitingRow): WaitingNote => ({
  logId: logId(row.log_id),
  checkpointId: row.checkpoint_id,
  size: leafIndex(BigInt(row.size)),
  note: row.note,
  root: hashFromBytes(row.root_hash),
  signedAtMs: row.created_ms === null ? null : Number(row.created_ms),
})

/** Of so many flaws as one page has, those that stand: their rows are there, and the place has no other note of the size. */
async function readFlawed(db: Db, place: string, from: string): Promise<FlawedNotes> {
  const { rows } = await db.execute<{ last: string | null; full: boolean; notes: number }>(sql`
    select max(sequence) as last, count(*) = ${FLAWS_PER_PAGE} as full from (${flawPage(place, from)}) f`)
  const { last, full } = onlyRow(rows, 'the page')
  const found = await db.execute<WaitingRow>(sql`
    select p.log_id, p.size, p.checkpoint_id, p.note, p.root_hash, ${finiteMs('c.created_at')} as created_ms
      from (${flawPage(place, from)}) f
     cross join lateral (select * from public.checkpoint_positions where checkpoint_id = f.checkpoint_id and log_id = f.log_id offset 0) p
     cross join lateral (select created_at from public.checkpoints where id = f.checkpoint_id offset 0) c
     where f.sequence <= coalesce(${last}::bigint, 0) and p.note is not null and ${isNotPlaced(place)}
     order by f.sequence`)
  return { notes: found.rows.map(toNote), next: full ? last : null }
}

const flawPage = (place: string, from: string) => sql`
  select sequence, checkpoint_id, log_id from public.note_flaws
   where place = ${place} and sequence > ${from}::bigint order by sequence limit ${FLAWS_PER_PAGE}`

async function insertFlaws(db: Db, place: string, flawed: readonly FlawedNote[]): Promise<void> {
  const columns = [
    sql`${sql.param(flawed.map(({ note }) => note.checkpointId))}::uuid[]`,
    sql`${sql.param(flawed.map(({ note }) => note.logId))}::integer[]`,
    sql`${sql.param(flawed.map(({ note }) => String(note.size)))}::bigint[]`,
    sql`${sql.param(flawed.map(({ detail }) => shownDetail(detail)))}::text[]`,
  ]
  await db.execute(sql`
    insert into public.note_flaws (place, checkpoint_id, log_id, size, detail)
    select ${place}, f.* from unnest(${sql.join(columns, sql`, `)}) f on conflict do nothing`)
}

async function readHeldSize(db: Db, place: string, id: LogId): Promise<LeafIndex> {
  const { rows } = await db.execute<{ size: string }>(sql`
    select coalesce(max(size), 0) as size from public.note_placements
     where place = ${place} and log_id = ${id} and outcome = 'held'`)
  return leafIndex(BigInt(onlyRow(rows, 'the size').size))
}

const shownDetail = (detail: string): string =>
  detail.replaceAll('\u0000', '\ufffd').slice(0, MAX_DETAIL_LENGTH)

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
  const shown = shownDetail(detail)
  await db.execute(sql`
    insert into public.note_failures (place, log_id, size, code, detail)
    select ${place}, ${id}::integer, ${size}::bigint, ${code}, ${shown}
     where not exists (select from (select * from public.note_failures where place = ${place}
                                     order by sequence desc limit ${MAX_FAILURES}) f
                        where f.log_id = ${id} and f.size = ${size} and f.detail = ${shown}
                          and f.failed_at > clock_timestamp() - make_interval(mins => ${SAME_FAILURE_MINUTES}))`)
}
