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

/** The note of one log in one checkpoint. */
export type NoteId = Pick<NoteToPlace, 'checkpointId' | 'logId'>

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
   * Can be repeated. `heldSize`: of the largest note of the log that the place took before. Throws PLACE_UNAVAILABLE when
   * trying again can help.
   */
  place(
    note: NoteToPlace,
    context: { readonly heldSize: LeafIndex; readonly signal: AbortSignal },
  ): Promise<Placement>
  close(): void
}

export interface PlaceStanding {
  readonly place: string
  /** Notes that it does not have yet; when the oldest of them was signed. */
  readonly waiting: number
  readonly oldestWaiting: Date | null
  readonly conflicts: number
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

export interface NoteStore {
  /** Notes that the place does not have, some of each log, by size; `except`: passed over for others of the same log and size. */
  notesToPlace(place: string, except?: readonly NoteId[]): Promise<readonly WaitingNote[]>
  /** The largest size of the log that the place holds, or 0. */
  heldSize(place: string, logId: LogId): Promise<LeafIndex>
  /** Once for each place, log and size: a second word changes nothing. */
  recordPlacement(place: string, note: NoteToPlace, placement: Placement): Promise<void>
  /** The same failure again is written down every few minutes only. */
  recordFailure(place: string, note: NoteToPlace, failure: { code: string; detail: string }): Promise<void>
  /** In the order of the places. Of a place that is being looked at already, what that look brings. */
  standingOf(places: readonly string[]): Promise<readonly PlaceStanding[]>
  /** Of the logs and sizes that the checkpoint has, by place. */
  placedNotes(checkpointId: string): Promise<readonly PlacedNote[]>
  /** Sizes of the log that a signed checkpoint is stored for. */
  signedSizes(logId: LogId): Promise<ReadonlySet<bigint>>
}
