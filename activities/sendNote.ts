/** One note on its way to a place: looked at; sent, and what became of it written down. */
import type { KeyPeriod } from '../src/domain/evidence/keyPeriods.ts'
import { nameOf } from '../src/domain/evidence/origin.ts'
import { openStoredNote } from '../src/domain/evidence/storedNote.ts'
import type { LeafIndex, LogId } from '../src/domain/model.ts'
import { ServiceError } from '../src/errors.ts'
import type { LogState, NotePlace, NoteToPlace, WaitingNote } from '../src/ports.ts'
import type { ActivityDependencies } from './dependencies.ts'

type Dependencies = Pick<ActivityDependencies, 'notes' | 'observer' | 'log'>

/** What is known of the logs while one look goes on. */
export interface KnownLogs {
  readonly states: Map<LogId, LogState | null>
  /** Largest sizes that the place holds. */
  readonly held: Map<LogId, LeafIndex>
}

/** Null when it is known now what became of it; else why it is tried again. */
export type NotSent = ServiceError | null

/**
 * A note that nothing belies. Throws what is not the place's: a database that does not answer, and being cancelled.
 */
export async function sendNote(
  deps: Dependencies,
  place: NotePlace,
  note: WaitingNote,
  { known, signal }: { readonly known: KnownLogs; readonly signal: AbortSignal },
): Promise<NotSent> {
  signal.throwIfAborted()
  try {
    await placeOne(deps, place, note, known, signal)
    return null
  } catch (error) {
    if (signal.aborted || !(error instanceof ServiceError) || isOurs(error)) throw error
    await writeDown(deps, place, note, error)
    return error
  }
}

/** What the note does not say though its row does; null for a good one. Whoever may insert rows holds no key. */
export async function flawOf(
  { log }: Pick<Dependencies, 'log'>,
  waiting: WaitingNote,
  periods: readonly KeyPeriod[],
  known: KnownLogs,
): Promise<ServiceError | null> {
  const flaw = await contradictionOf(log, waiting, periods, known)
  if (flaw === null) return null
  return new ServiceError(
    'NOTE_REFUSED',
    `the note of the checkpoint ${waiting.checkpointId} is not sent: ${flaw}`,
  )
}

async function contradictionOf(
  log: Dependencies['log'],
  { logId, note, size, root, signedAtMs }: WaitingNote,
  periods: readonly KeyPeriod[],
  { states }: KnownLogs,
): Promise<string | null> {
  const state = states.get(logId) ?? (await log.logById(logId))
  states.set(logId, state)
  if (state === null) return 'there is no such log'
  if (signedAtMs === null) return 'it was made at no time'
  const opened = openStoredNote({ note, log: nameOf(state), size, root, signedAtMs }, periods)
  return opened.ok ? null : opened.detail
}

async function placeOne(
  { notes, observer }: Dependencies,
  place: NotePlace,
  note: NoteToPlace,
  { held }: KnownLogs,
  signal: AbortSignal,
): Promise<void> {
  const { logId, size } = note
  const heldSize = held.get(logId) ?? (await notes.heldSize(place.name, logId))
  const placement = await place.place(note, { heldSize, signal })
  await notes.recordPlacement(place.name, note, placement)
  held.set(logId, placement.outcome === 'held' && size > heldSize ? size : heldSize)
  observer.notePlaced(place.name, placement.outcome)
}

async function writeDown(
  { notes, observer }: Dependencies,
  place: NotePlace,
  note: NoteToPlace,
  { code, message }: ServiceError,
): Promise<void> {
  observer.noteFailed(place.name)
  await notes.recordFailure(place.name, note, { code, detail: message })
}

/** The database's, not the place's. */
const isOurs = ({ code }: ServiceError): boolean =>
  code === 'DATABASE_UNAVAILABLE' || code === 'SCHEMA_OUTDATED'
