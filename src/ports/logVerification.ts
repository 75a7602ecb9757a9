/** Event log: verification (src/store). */
import type { LogId } from '../domain/model.ts'
import type { Beyond } from '../domain/verification/concludeLog.ts'
import type {
  EarlierEvent,
  StoredDeadLetterRow,
  StoredEventRow,
  StoredGapRow,
} from '../domain/verification/deriveRow.ts'
import type { Evidence, GoneLog, LogHead, NamedLog } from '../domain/verification/stored.ts'

/** Of ingestion time: [from, to), as PostgreSQL writes instants; `-infinity` and `infinity` at the ends. */
export interface TimeSpan {
  readonly from: string
  readonly to: string
  /** Of a day that was detached and whose table still stands: all its rows are read, whatever their time. */
  readonly table?: string
}

/** A verified archive, as the database knows it. */
export interface DetachedArchive {
  readonly id: string
  readonly place: string
  /** SHA-256 of its manifest, 64 hex digits. */
  readonly manifestHash: string
}

/** Rows of a log with offsets in [from, below), by offset. */
export interface RowsRequest {
  readonly logId: LogId
  readonly from: bigint
  readonly below: bigint
  readonly maxRows: number
}

export interface EventRowsRequest extends RowsRequest {
  readonly span: TimeSpan
}

export interface BlockRange {
  /** Blocks of 256 leaves: [from, to). */
  readonly from: bigint
  readonly to: bigint
  /** Leaves that are verified: no checkpoint over more is wanted. */
  readonly size: bigint
}

/** Everything that a log holds, read without trusting any of it. */
export interface LogAudit {
  head(id: LogId): Promise<LogHead | null>
  /** The spans of time that hold events of the log, in order; all other time holds none. */
  spans(id: LogId): Promise<readonly TimeSpan[]>
  /** Returns how many there were; fewer than `maxRows` means that the span has no more below `below`. */
  readEvents(request: EventRowsRequest, visit: (row: StoredEventRow) => void): Promise<number>
  /** At least one, if there is one; fewer than `maxRows` when `maxBytes` is reached. Empty: there are no more. */
  readDeadLetters(request: RowsRequest, maxBytes: number): Promise<readonly StoredDeadLetterRow[]>
  readGaps(request: RowsRequest): Promise<readonly StoredGapRow[]>
  eventsWithIds(id: LogId, ids: readonly string[]): Promise<readonly EarlierEvent[]>
  evidence(id: LogId, blocks: BlockRange): Promise<Evidence>
  beyond(id: LogId): Promise<Beyond>
  /** Changes when a day is attached, detached, or its detached table dropped: what was read before and behind it is no whole. */
  layout(): Promise<string>
  /** Lowest offset of the leaves that are gone with a detached day; null when there are none. */
  firstGone(id: LogId): Promise<bigint | null>
  /** Verified archives with leaves of the log that went away with a detachment; a hundred at most. */
  archivesOfDetachment(id: LogId, detachment: string): Promise<readonly DetachedArchive[]>
  /** All verified archives that a record names of leaves of the log that are gone; some thousands at most. */
  archivesOfGone(id: LogId): Promise<readonly DetachedArchive[]>
  /** Leaves of the log that are gone, and the first of them that lies in none of the parts, if any. */
  goneOutside(
    id: LogId,
    parts: readonly { readonly fromLeaf: bigint; readonly toLeaf: bigint }[],
  ): Promise<{ readonly gone: bigint; readonly outside: bigint; readonly first: bigint | null }>
  /** Days that are gone with events of which nobody wrote down the leaves; a hundred at most. */
  unknownDays(): Promise<readonly string[]>
  /** Null when the log has a row, and when nothing names it. */
  goneLog(id: LogId): Promise<GoneLog | null>
  /** Null when there is no such row. */
  nameOf(id: LogId): Promise<NamedLog | null>
}
