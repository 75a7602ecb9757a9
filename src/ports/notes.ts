/** Notes held elsewhere (src/store, src/places). */
import type { Hash, LeafIndex, LogId } from '../domain/model.ts'

/** A signed note that a place does not have yet. */
export interface NoteToPlace {
  readonly logId: LogId
  readonly checkpointId: string
  readonly size: LeafIndex
  readonly note: string
}

/** With what is stored beside it, which the note must say too. */
export interface WaitingNote extends NoteToPlace {
  readonly root: Hash
  /** When its checkpoint was made, ms since the epoch; null for the infinities. */
  readonly signedAtMs: number | null
}

/** What is not looked for. */
export interface NotesLeftOut {
  readonly logs?: readonly LogId[]
}

export interface FlawedNote {
  readonly note: NoteToPlace
  /** What it does not say though its row does. */
  readonly detail: string
}

/** Some of the notes that were found not to be what their rows say, and that a place has no other of. */
export interface FlawedNotes {
  readonly notes: readonly WaitingNote[]
  /** Where to go on; null when these were the last. */
  readonly next: string | null
}

/** What became of a note at a place, for good. */
export type Placement =
  /** `cosignatures`: the witness's signature lines. */
  | { readonly outcome: 'held'; readonly cosignatures?: string }
  /** The place had seen a later checkpoint of the log already, and takes no earlier one. */
  | { readonly outcome: 'superseded'; readonly detail: string }
  /** The place holds something else of this log: somebody says otherwise than this database. */
  | { readonly outcome: 'conflict'; readonly detail: string }

export interface NotePlace {
  readonly name: string
  /**
   * Can be repeated. `heldSize`: of the largest note of the log that the place took before. Throws PLACE_UNAVAILABLE or, when it
   * is about this log alone, LOG_NOT_TAKEN; trying again can help.
   */
  place(
    note: NoteToPlace,
    context: { readonly heldSize: LeafIndex; readonly signal: AbortSignal },
  ): Promise<Placement>
  close(): void
}

/** A log of which a place does not take a note. */
export interface RefusedLog {
  readonly topic: string
  readonly partition: number
  readonly incarnation: number
  /** The first and the newest failure of what still waits. */
  readonly since: Date
  readonly at: Date
  readonly code: string
  readonly detail: string
}

export interface FlawedStanding {
  /** Of the newest 10,000 that were found. */
  readonly count: number
  /** There may be more. */
  readonly more: boolean
  readonly first: {
    readonly topic: string
    readonly partition: number
    readonly incarnation: number
    readonly checkpointId: string
    readonly size: LeafIndex
    readonly detail: string
    readonly since: Date
  }
}

export interface PlaceStanding {
  readonly place: string
  /** Notes that it does not have yet, counted to 10,000; when the oldest of those looked at was signed. */
  readonly waiting: number
  /** More may wait than were counted: there are too many, or the database has not been looked through yet. */
  readonly moreWait: boolean
  readonly oldestWaiting: Date | null
  /** Of the newest checkpoint with a note that waits, its sequence. */
  readonly newestWaiting: bigint | null
  /** Logs with a note that failed and still waits: how many, and those that fail the longest. */
  readonly refusedLogs: number
  readonly refused: readonly RefusedLog[]
  /** Counted to 10,000. */
  readonly conflicts: number
  /** Notes that are never sent, since they are not what their rows say: somebody inserted them. */
  readonly flawed: FlawedStanding | null
  readonly lastPlaced: Date | null
  /** The newest failure of a note that still waits. */
  readonly failure: { readonly code: string; readonly detail: string; readonly at: Date } | null
}

/** What became of a checkpoint's notes. */
export interface PlacedNote {
  readonly logId: LogId
  readonly place: string
  readonly outcome: Placement['outcome']
  readonly detail: string | null
  readonly cosignatures: string | null
  readonly placedAt: Date
}

/** A note of a checkpoint that a place does not have yet. */
export interface UnplacedNote {
  readonly logId: LogId
  readonly place: string
  /** Why, when one of its log failed there, itself or a smaller one that goes first; null while it is on its way. */
  readonly failure: {
    readonly code: string
    readonly detail: string
    readonly since: Date
    readonly at: Date
  } | null
}

export interface NoteStore {
  /** Notes that the place does not have, some of each log, by size; several of one size where several checkpoints say it. */
  notesToPlace(place: string, except?: NotesLeftOut): Promise<readonly WaitingNote[]>
  /** The largest size of the log that the place holds, or 0. */
  heldSize(place: string, logId: LogId): Promise<LeafIndex>
  /** Once for each place, log and size: a second word changes nothing. */
  recordPlacement(place: string, note: NoteToPlace, placement: Placement): Promise<void>
  /** The same failure again is written down every few minutes only. */
  recordFailure(place: string, note: NoteToPlace, failure: { code: string; detail: string }): Promise<void>
  /** That notes are not what their rows say: they wait no longer. Once for each place and note. */
  recordFlaws(place: string, flawed: readonly FlawedNote[]): Promise<void>
  /** `from`: null, or where an answer said to go on. */
  flawedNotes(place: string, from: string | null): Promise<FlawedNotes>
  /**
   * In the order of the places. Of a place that is being looked at already, what that look brings; with `fromNow`, what one
   * brings that begins later: it sees all that was stored before.
   */
  standingOf(
    places: readonly string[],
    options?: { readonly fromNow?: boolean },
  ): Promise<readonly PlaceStanding[]>
  /** Of the logs and sizes that the checkpoint has, by place. */
  placedNotes(checkpointId: string): Promise<readonly PlacedNote[]>
  /** Of the notes that the checkpoint has, those that these places do not have. */
  unplacedNotes(checkpointId: string, places: readonly string[]): Promise<readonly UnplacedNote[]>
  /** Sizes of the log that a signed checkpoint is stored for. */
  signedSizes(logId: LogId): Promise<ReadonlySet<bigint>>
}
