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
  /** Null when the log has a row, and when nothing names it. */
  goneLog(id: LogId): Promise<GoneLog | null>
  /** Null when there is no such row. */
  nameOf(id: LogId): Promise<NamedLog | null>
}
