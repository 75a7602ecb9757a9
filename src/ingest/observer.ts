import type { DeadLetterCode, LogIdentity, Offset } from '../domain/model.ts'
import type { ErrorCode } from '../errors.ts'

/** What ingest tells the outside: metrics, readiness and logs listen. Must not throw. */
export interface IngestObserver {
  appended(report: AppendReport): void
  /** How many offsets the log is behind the partition's high watermark, as of its newest batch. */
  lag(topic: string, partition: number, offsets: bigint): void
  gap(identity: LogIdentity, from: Offset, to: Offset): void
  /** A log is open (again): what `closed` said of it is over. */
  opened(topic: string, partition: number): void
  /** The partition is no longer taken here: what was said of it here is void. */
  released(topic: string, partition: number): void
  /** A log fails closed: nothing more is appended to it until an operator acts. Others go on. */
  closed(topic: string, partition: number, code: ErrorCode, detail: string): void
  /** Waiting for a server or for a topic; `null` when it goes on. */
  waiting(topic: string, partition: number | null, reason: { code: ErrorCode; detail: string } | null): void
}

export interface AppendReport {
  readonly topic: string
  readonly partition: number
  readonly events: number
  readonly deadLetters: ReadonlyMap<DeadLetterCode, number>
  readonly bytes: number
  /** From the first record decoded to the commit, in seconds. */
  readonly seconds: number
  readonly nextOffset: Offset
  readonly ingestedAt: Date
}
