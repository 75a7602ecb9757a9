/** Notes on their way to a place outside the database. */
import type { LeafIndex, LogId } from '../src/domain/model.ts'
import { ServiceError } from '../src/errors.ts'
import type { NotePlace, NoteStore, NoteToPlace } from '../src/ports.ts'
import type { PlacedNotes, PlaceNotesInput } from './contract.ts'
import type { ActivityDependencies, ActivityScope } from './dependencies.ts'

const SLICE_MS = 20_000
/** Logs that fail before the place itself is taken to be away. */
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
    const waiting = (await deps.notes.notesToPlace(name)).filter(({ logId }) => !failed.has(logId))
    if (waiting.length === 0) break
    for (const note of waiting) {
      signal.throwIfAborted()
      if (failed.has(note.logId)) continue
      if (deps.now() >= deadlineMs && placed > 0) return { placed, more: true }
      const failure = await placeOne(deps, place, note, held, signal)
      if (failure === null) placed++
      else failed.set(note.logId, failure)
      if (failed.size >= MAX_FAILED_LOGS) break
    }
    if (failed.size >= MAX_FAILED_LOGS) break
  }
  const [first] = failed.values()
  if (first !== undefined) throw new ServiceError('PLACE_UNAVAILABLE', first.message, { cause: first })
  return { placed, more: false }
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
