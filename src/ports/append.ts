/** Event log: append (src/store). */
import type {
  DeadLetterCode,
  LogEntry,
  LogId,
  LogIdentity,
  LogPosition,
  Offset,
  StoredNode,
} from '../domain/model.ts'

export interface LogState {
  readonly logId: LogId
  readonly identity: LogIdentity
  /** 1, 2, … among the logs of the source partition; only the newest is appended to. */
  readonly incarnation: number
  /** First source offset of the log: where Kafka's log began when this log was opened. */
  readonly startOffset: Offset
  readonly position: LogPosition
  /** Leader epoch of the newest appended batch; −1 when unknown. */
  readonly leaderEpoch: number
  readonly lastIngestedAt: Date | null
}

export interface AppendRequest {
  readonly logId: LogId
  readonly identity: LogIdentity
  /** What the log's row must say when it is locked; otherwise nothing is appended. */
  readonly expected: LogPosition
  /** What the row says afterwards. `next.size` = `expected.size` + entries. */
  readonly next: LogPosition
  /** Interior nodes that the entries complete (levels 8, 16, 24…). */
  readonly nodes: readonly StoredNode[]
  /** In offset order, one leaf each; may be empty (a batch emptied by filtering moves only the offset). */
  readonly entries: readonly LogEntry[]
  readonly leaderEpoch: number
}

/** Encoded for COPY before any transaction begins; opaque to the caller. */
export interface PreparedAppend {
  readonly request: AppendRequest
  readonly bytes: number
}

export type AppendOutcome =
  | {
      readonly kind: 'appended'
      readonly events: number
      readonly deadLetters: ReadonlyMap<DeadLetterCode, number>
      readonly ingestedAt: Date
    }
  /**
   * The row is elsewhere (another owner appended, or the batch came from an old position). Null: the database has no such
   * log, or one of another source partition under its id. Nothing was appended.
   */
  | { readonly kind: 'moved'; readonly position: LogPosition | null }
  /** `currentTopicId` named another topic: rolled back. */
  | { readonly kind: 'recreated'; readonly topicId: string }
  /** An operator opened a new incarnation: this log takes nothing more, whatever its topic id. Rolled back. */
  | { readonly kind: 'superseded'; readonly logId: LogId }
  /** SQLSTATE class 22, 23 or 54: the data is at fault, not the server. Rolled back. Bisect. */
  | { readonly kind: 'refused'; readonly sqlState: string; readonly detail: string }

export type IncarnationOutcome =
  | { readonly kind: 'opened'; readonly log: LogState }
  /** The log that was to be followed is not the newest any more, or stands elsewhere. Nothing was opened. */
  | { readonly kind: 'moved' }
  /** `currentTopicId` named another topic than the new log's. Nothing was opened. */
  | { readonly kind: 'recreated'; readonly topicId: string }

export interface EventLogWriter {
  /** The newest incarnation's log of a source partition, or null. */
  findLog(topic: string, partition: number): Promise<LogState | null>
  /** Opens the first log of a source partition; returns the existing one (any incarnation) when there is one. */
  openLog(identity: LogIdentity, startOffset: Offset, leaderEpoch: number): Promise<LogState>
  /**
   * Opens the log that follows `closed`, which must still be the newest and stand where it stood: then it stays as it is
   * for ever. Waits for an append in flight; none comes after. `currentTopicId` is called inside, before the commit.
   */
  openIncarnation(
    closed: LogState,
    next: { readonly topicId: string; readonly startOffset: Offset },
    currentTopicId: () => Promise<string>,
  ): Promise<IncarnationOutcome>
  /** Encodes rows; yields to the event loop between chunks. */
  prepare(request: AppendRequest): Promise<PreparedAppend>
  /**
   * One PostgreSQL transaction: lock, compare, duplicates, COPY, dead letters, nodes, position, compare topic id, commit.
   * Throws ServiceError DATABASE_UNAVAILABLE (08, 40, 53, 57, lost connection: unknown outcome, ask `findLog`),
   * SCHEMA_OUTDATED (42), CLOCK_LEAP. `currentTopicId` is called inside and runs beside COPY.
   */
  append(prepared: PreparedAppend, currentTopicId: () => Promise<string>): Promise<AppendOutcome>
  /** Creates partitions of `events` for today and tomorrow when missing. */
  ensurePartitions(): Promise<void>
}
