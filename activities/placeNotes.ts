/** Notes on their way to a place outside the database. */
import type { KeyPeriod } from '../src/domain/evidence/keyPeriods.ts'
import { nameOf } from '../src/domain/evidence/origin.ts'
import { openStoredNote } from '../src/domain/evidence/storedNote.ts'
import type { LeafIndex, LogId } from '../src/domain/model.ts'
import { LogNotTaken, ServiceError } from '../src/errors.ts'
import type { LogState, NoteId, NotePlace, NoteStore, NoteToPlace, WaitingNote } from '../src/ports.ts'
import type { PlacedNotes, PlaceNotesInput } from './contract.ts'
import type { ActivityDependencies, ActivityScope } from './dependencies.ts'

const SLICE_MS = 20_000
/** Logs of which the place does not answer before it is taken to be away. */
const MAX_FAILED_LOGS = 3

/** Notes that are not what their rows say, in one attempt; nobody but a forger makes any. */
const MAX_REFUSED = 1_000

type Dependencies = Pick<
  ActivityDependencies,
  'notes' | 'places' | 'observer' | 'now' | 'log' | 'signingKeys'
>

/** Of one attempt. */
interface Attempt {
  readonly failed: Map<LogId, ServiceError>
  readonly refused: NoteId[]
  /** What is thrown in the end. */
  first: ServiceError | null
  readonly held: Map<LogId, LeafIndex>
  readonly logs: Map<LogId, LogState | null>
  placed: number
}

/**
 * Sends what waits, log by log from the smallest size on, for some seconds. A note that fails holds up its own log only, and
 * one that its row, its log or the keys of its time belie is never sent, and holds up nothing; in the end the first failure
 * is thrown, so that all is tried again later. Throws UNKNOWN_PLACE, PLACE_UNAVAILABLE, DATABASE_UNAVAILABLE.
 */
export async function placeNotes(
  deps: Dependencies,
  { signal }: Pick<ActivityScope, 'signal'>,
  { place: name }: PlaceNotesInput,
): Promise<PlacedNotes> {
  const place = deps.places.find((each) => each.name === name)
  if (place === undefined)
    throw new ServiceError('UNKNOWN_PLACE', `place: this worker's NOTE_PLACES has none of this name`)
  const deadlineMs = deps.now() + SLICE_MS
  const attempt: Attempt = {
    failed: new Map(),
    refused: [],
    first: null,
    held: new Map(),
    logs: new Map(),
    placed: 0,
  }
  const { failed, refused } = attempt
  for (;;) {
    const found = await deps.notes.notesToPlace(name, refused)
    const waiting = inTurn(found, deps.now()).filter(({ logId }) => !failed.has(logId))
    if (waiting.length === 0) break
    // Behind the notes: what signed them is there by now.
    const { periods } = await deps.signingKeys.keyState()
    // Another note of the size may be good: it comes before the larger ones of its log.
    const again = new Set<LogId>()
    for (const note of waiting) {
      signal.throwIfAborted()
      if (failed.has(note.logId) || again.has(note.logId)) continue
      if (deps.now() >= deadlineMs && attempt.placed > 0) return { placed: attempt.placed, more: true }
      if (deps.now() >= deadlineMs && attempt.first !== null) throw inTheEnd(attempt.first)
      const flaw = await flawOf(deps, note, periods, attempt.logs)
      if (flaw === null) await placeOne(deps, place, note, attempt, signal)
      else {
        await refuse(deps, name, note, flaw, attempt)
        again.add(note.logId)
      }
      if (attempt.first !== null && (isAway(failed) || refused.length >= MAX_REFUSED))
        throw inTheEnd(attempt.first)
    }
  }
  if (attempt.first !== null) throw inTheEnd(attempt.first)
  return { placed: attempt.placed, more: false }
}

/** What the note does not say though its row does; null for a good one. Whoever may insert rows holds no key. */
async function flawOf(
  { log }: Pick<Dependencies, 'log'>,
  { logId, note, size, root, signedAtMs }: WaitingNote,
  periods: readonly KeyPeriod[],
  logs: Map<LogId, LogState | null>,
): Promise<string | null> {
  const state = logs.get(logId) ?? (await log.logById(logId))
  logs.set(logId, state)
  if (state === null) return 'there is no such log'
  if (signedAtMs === null) return 'it was made at no time'
  const opened = openStoredNote({ note, log: nameOf(state), size, root, signedAtMs }, periods)
  return opened.ok ? null : opened.detail
}

async function refuse(
  { notes, observer }: Dependencies,
  place: string,
  note: WaitingNote,
  flaw: string,
  attempt: Attempt,
): Promise<void> {
  const { checkpointId, logId } = note
  const detail = `the note of the checkpoint ${checkpointId} is not sent: ${flaw}`
  attempt.refused.push({ checkpointId, logId })
  attempt.first ??= new ServiceError('NOTE_REFUSED', detail)
  observer.noteFailed(place)
  await notes.recordFailure(place, note, { code: 'NOTE_REFUSED', detail })
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

const inTheEnd = (first: ServiceError): ServiceError =>
  new ServiceError('PLACE_UNAVAILABLE', first.message, { cause: first })

/** Also writes down a failure. */
async function placeOne(
  { notes, observer }: { readonly notes: NoteStore; readonly observer: ActivityDependencies['observer'] },
  place: NotePlace,
  note: NoteToPlace,
  attempt: Attempt,
  signal: AbortSignal,
): Promise<void> {
  const { logId, size } = note
  const { held, failed } = attempt
  try {
    const heldSize = held.get(logId) ?? (await notes.heldSize(place.name, logId))
    const placement = await place.place(note, { heldSize, signal })
    await notes.recordPlacement(place.name, note, placement)
    held.set(logId, placement.outcome === 'held' && size > heldSize ? size : heldSize)
    observer.notePlaced(place.name, placement.outcome)
    attempt.placed++
  } catch (error) {
    if (signal.aborted || !(error instanceof ServiceError) || isOurs(error)) throw error
    observer.noteFailed(place.name)
    await notes.recordFailure(place.name, note, { code: error.code, detail: error.message })
    failed.set(logId, error)
    attempt.first ??= error
  }
}

/** The database's, not the place's. */
const isOurs = ({ code }: ServiceError): boolean =>
  code === 'DATABASE_UNAVAILABLE' || code === 'SCHEMA_OUTDATED'
