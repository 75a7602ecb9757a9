/** Notes on their way to a place outside the database. */
import type { LeafIndex, LogId } from '../src/domain/model.ts'
import { LogNotTaken, ServiceError } from '../src/errors.ts'
import type { NotePlace, NoteStore, NoteToPlace } from '../src/ports.ts'
import type { PlacedNotes, PlaceNotesInput } from './contract.ts'
import type { ActivityDependencies, ActivityScope } from './dependencies.ts'

const SLICE_MS = 20_000
/** Logs of which the place does not answer before it is taken to be away. */
const MAX_FAILED_LOGS = 3

/**
 * Sends what waits, log by log from the smallest size on, for some seconds. A note that fails holds up its own log only; in
 * the end the first failure is thrown, so that all is tried again later. Throws UNKNOWN_PLACE, PLACE_UNAVAILABLE,
 * DATABASE_UNAVAILABLE.
 */
export async function placeNotes(
  deps: Pick<ActivityDependencies, 'notes' | 'places' | 'observer' | 'now'>,
  { signal }: Pick<ActivityScope, 'signal'>,
  { place: name }: PlaceNotesInput,
): Promise<PlacedNotes> {
  const place = deps.places.find((each) => each.name === name)
  if (place === undefined)
    throw new ServiceError('UNKNOWN_PLACE', `place: this worker's NOTE_PLACES has none of this name`)
  const deadlineMs = deps.now() + SLICE_MS
  const failed = new Map<LogId, ServiceError>()
  const held = new Map<LogId, LeafIndex>()
  let placed = 0
  for (;;) {
    const found = await deps.notes.notesToPlace(name)
    const waiting = inTurn(found, deps.now()).filter(({ logId }) => !failed.has(logId))
    if (waiting.length === 0) break
    for (const note of waiting) {
      signal.throwIfAborted()
      if (failed.has(note.logId)) continue
      if (deps.now() >= deadlineMs && placed > 0) return { placed, more: true }
      if (deps.now() >= deadlineMs && failed.size > 0) throw firstOf(failed)
      const failure = await placeOne(deps, place, note, held, signal)
      if (failure === null) placed++
      else failed.set(note.logId, failure)
      if (isAway(failed)) throw firstOf(failed)
    }
  }
  if (failed.size > 0) throw firstOf(failed)
  return { placed, more: false }
}

/**
 * By size within each log, as they come; which log is the first changes from second to second, so that those which the
 * place refuses slowly do not use up the time of the others at every attempt.
 */
function inTurn<Note extends NoteToPlace>(notes: readonly Note[], nowMs: number): readonly Note[] {
  const logs = [...new Set(notes.map(({ logId }) => logId))]
  const from = Math.floor(nowMs / 1_000) % Math.max(logs.length, 1)
  const turn = new Map(logs.map((id, index) => [id, (index - from + logs.length) % logs.length]))
  const seen = new Map<LogId, number>()
  const ranked = notes.map((note) => {
    const nth = seen.get(note.logId) ?? 0
    seen.set(note.logId, nth + 1)
    return { note, rank: nth * logs.length + (turn.get(note.logId) ?? 0) }
  })
  return ranked.sort((one, other) => one.rank - other.rank).map(({ note }) => note)
}

/** A log that it does not take, or that is damaged, says nothing about the place. */
const isAway = (failed: ReadonlyMap<LogId, ServiceError>): boolean =>
  [...failed.values()].filter(
    (error) => error.code === 'PLACE_UNAVAILABLE' && !(error instanceof LogNotTaken),
  ).length >= MAX_FAILED_LOGS

function firstOf(failed: ReadonlyMap<LogId, ServiceError>): ServiceError {
  const [first] = failed.values()
  return new ServiceError('PLACE_UNAVAILABLE', first?.message ?? 'a note was not taken', { cause: first })
}

/** The failure, written down; null when what became of the note is. */
async function placeOne(
  { notes, observer }: { readonly notes: NoteStore; readonly observer: ActivityDependencies['observer'] },
  place: NotePlace,
  note: NoteToPlace,
  held: Map<LogId, LeafIndex>,
  signal: AbortSignal,
): Promise<ServiceError | null> {
  const { logId, size } = note
  try {
    const heldSize = held.get(logId) ?? (await notes.heldSize(place.name, logId))
    const placement = await place.place(note, { heldSize, signal })
    await notes.recordPlacement(place.name, note, placement)
    held.set(logId, placement.outcome === 'held' && size > heldSize ? size : heldSize)
    observer.notePlaced(place.name, placement.outcome)
    return null
  } catch (error) {
    if (signal.aborted || !(error instanceof ServiceError) || isOurs(error)) throw error
    observer.noteFailed(place.name)
    await notes.recordFailure(place.name, note, { code: error.code, detail: error.message })
    return error
  }
}

/** The database's, not the place's. */
const isOurs = ({ code }: ServiceError): boolean =>
  code === 'DATABASE_UNAVAILABLE' || code === 'SCHEMA_OUTDATED'
