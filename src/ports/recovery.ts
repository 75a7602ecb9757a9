/** Recovery (src/store). */
import type { ArchivedCheckpoint } from '../domain/archive/checkpointLine.ts'
import type { HoldView } from '../domain/archive/hold.ts'
import type { ReadRecord } from '../domain/evidence/exportedRecord.ts'
import type { KeyPeriod } from '../domain/evidence/keyPeriods.ts'
import type {
  Decoded,
  Hash,
  LeafIndex,
  LogId,
  LogIdentity,
  LogPosition,
  Offset,
  StoredNode,
} from '../domain/model.ts'
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

export type RepeatCode = 'DUPLICATE_ID' | 'ID_CONFLICT'

/** A dead letter that is said to repeat the id of an earlier event. */
export interface RestoredRepeat {
  readonly leafIndex: bigint
  readonly offset: bigint
  readonly id: string
  readonly contentHash: Hash
  readonly code: RepeatCode
}

/** What the events of a log say of repeated ids. */
export interface LogRepeats {
  readonly topic: string
  readonly partition: number
  readonly incarnation: number
  /** Dead letters whose ids an earlier event has, with the content that the code says. */
  readonly borneOut: bigint
  /** The first one of which that is not so, and nothing explains it. */
  readonly contradicted: {
    readonly leafIndex: LeafIndex
    readonly id: string
    readonly code: RepeatCode
  } | null
  /** Events that have the id of an earlier event: how many, the first, and the least distance in offsets. */
  readonly twice: {
    readonly events: bigint
    readonly firstLeaf: LeafIndex
    readonly nearest: bigint
  } | null
}

/** One transaction: all of a recovery, or nothing. */
export interface RecoveryWriter {
  openLog(log: LogToRestore): Promise<LogId>
  /** Partitions of `events` for the days, ms since the epoch each. Throws SCHEMA_OUTDATED for more than the server can lock. */
  makeDays(days: ReadonlySet<number>): Promise<void>
  appendRows(logId: LogId, rows: readonly RestoredRow[], nodes: readonly RestoredNode[]): Promise<void>
  /** Keeps them until `judgeRepeats`. */
  appendRepeats(logId: LogId, repeats: readonly RestoredRepeat[]): Promise<void>
  closeLog(logId: LogId, position: RestoredPosition, leaderEpoch: number): Promise<void>
  /** Keeps them until `placeCheckpoints`: one checkpoint can be of several logs. */
  restoreCheckpoints(logId: LogId, checkpoints: readonly ArchivedCheckpoint[]): Promise<void>
  /** All of them, in the order in which they were made; how many there are. */
  placeCheckpoints(): Promise<number>
  /** Once, when all logs are there; those without a repeated id are left out. */
  judgeRepeats(): Promise<readonly LogRepeats[]>
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
