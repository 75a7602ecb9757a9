/** Recovery (src/store). */
import type { ArchivedCheckpoint } from '../domain/archive/checkpointLine.ts'
import type { HoldView } from '../domain/archive/hold.ts'
import type { ReadRecord } from '../domain/evidence/exportedRecord.ts'
import type { KeyPeriod } from '../domain/evidence/keyPeriods.ts'
import type { Decoded, LogId, LogIdentity, LogPosition, Offset, StoredNode } from '../domain/model.ts'
import type { ProducerSource } from './producers.ts'

/** A log as it is to be rebuilt. */
export interface LogToRestore {
  readonly identity: LogIdentity
  readonly incarnation: number
  readonly startOffset: Offset
  readonly leaderEpoch: number
  readonly createdMs: number
}

/** What the row of a log says at the end. */
export interface RestoredPosition extends LogPosition {
  readonly bytes: bigint
  readonly lastIngestedMs: number | null
}

export interface RestoredRow {
  readonly record: ReadRecord
  /** What the bytes are judged to be now; of gaps and batches nothing. */
  readonly decoded: Decoded | null
}

export interface RestoredNode extends StoredNode {
  readonly endOffset: bigint
  readonly bytes: bigint
  readonly ingestedMs: number
}

/** One transaction: all of a recovery, or nothing. */
export interface RecoveryWriter {
  openLog(log: LogToRestore): Promise<LogId>
  /** Partitions of `events` for the days, ms since the epoch each. Throws SCHEMA_OUTDATED for more than the server can lock. */
  makeDays(days: ReadonlySet<number>): Promise<void>
  appendRows(logId: LogId, rows: readonly RestoredRow[], nodes: readonly RestoredNode[]): Promise<void>
  closeLog(logId: LogId, position: RestoredPosition, leaderEpoch: number): Promise<void>
  /** Keeps them until `placeCheckpoints`: one checkpoint can be of several logs. */
  restoreCheckpoints(logId: LogId, checkpoints: readonly ArchivedCheckpoint[]): Promise<void>
  /** All of them, in the order in which they were made; how many there are. */
  placeCheckpoints(): Promise<number>
  restoreKeys(periods: readonly KeyPeriod[]): Promise<void>
  restoreProducers(sources: readonly ProducerSource[]): Promise<void>
  restoreHolds(holds: readonly HoldView[]): Promise<void>
  recordRecovery(actor: string, detail: unknown): Promise<void>
}

export interface RecoveryStore {
  /** Names of tables that hold something; none: the database is migrated and empty. Throws SCHEMA_OUTDATED. */
  tablesInUse(): Promise<readonly string[]>
  inTransaction<T>(work: (writer: RecoveryWriter) => Promise<T>): Promise<T>
}
