/**
 * What ingest, the activities and the edges need from the outside world. Implemented in src/store and src/kafka,
 * handed in by the composition root. Types only.
 */
import type { ArchivedCheckpoint } from './domain/archive/checkpointLine.ts'
import type { HoldRequest, HoldView } from './domain/archive/hold.ts'
import type { Bounded, CustodyReplay, CustodyView, EventReference } from './domain/custody.ts'
import type { ReadRecord } from './domain/evidence/exportedRecord.ts'
import type { KeyPeriod } from './domain/evidence/keyPeriods.ts'
import type { VerifierKey } from './domain/evidence/noteKeys.ts'
import type {
  Classification,
  DeadLetterCode,
  Decoded,
  Frontier,
  Hash,
  LeafIndex,
  LogEntry,
  LogId,
  LogIdentity,
  LogPosition,
  Offset,
  SourceRecords,
  StoredNode,
  UndecodableBatch,
} from './domain/model.ts'
import type { ProducerKeyRequest, SignaturePolicyRequest } from './domain/producerRequests.ts'
import type { ProducerKey, SignaturePolicy, SourceSignatures } from './domain/producerSignature.ts'
import type { EventFilters, ReplayPlan, ReplayReceipt, ReplayStatus } from './domain/replay.ts'
import type { Beyond } from './domain/verification/concludeLog.ts'
import type {
  EarlierEvent,
  StoredDeadLetterRow,
  StoredEventRow,
  StoredGapRow,
} from './domain/verification/deriveRow.ts'
import type { Evidence, GoneLog, LogHead, NamedLog } from './domain/verification/stored.ts'
import type { VerificationKind, VerifiedPart } from './domain/verification/view.ts'

// ───────────────────────────── event log: append (src/store) ─────────────────────────────

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

// ───────────────────────────── event log: read (src/store) ─────────────────────────────

export interface EventPage {
  readonly records: SourceRecords
  readonly leaves: readonly Hash[]
  readonly contentHashes: readonly Hash[]
  readonly leafIndexes: BigInt64Array
  /** Where the next page starts; equals the requested `to` when the range is exhausted. */
  readonly next: Offset
  /** Positions looked at, events that the filters left out included. */
  readonly scanned: number
}

export interface EventPageRequest {
  readonly logId: LogId
  readonly from: Offset
  readonly to: Offset
  readonly filters: EventFilters
  /** Bounds on *scanned* positions and on bytes returned, so that neither a sparse filter nor huge values stall. */
  readonly maxScanned: number
  readonly maxBytes: number
}

export interface LogRangeCount {
  /** Events that pass the filters. */
  readonly planned: bigint
  /** All events in the range. */
  readonly total: bigint
  /** Smallest Kafka timestamp among them (ms), null when there is none. */
  readonly minTimestamp: bigint | null
  /** Largest key + value + headers in bytes. */
  readonly maxRecordBytes: number
}

export interface EventLogReader {
  /** Newest incarnation of each partition of the topic, by partition; empty when the topic has no log. */
  logsOf(topic: string): Promise<readonly LogState[]>
  logById(id: LogId): Promise<LogState | null>
  readPage(request: EventPageRequest): Promise<EventPage>
  countRange(logId: LogId, from: Offset, to: Offset, filters: EventFilters): Promise<LogRangeCount>
  /** Leaves with an offset below `offset` (gaps and dead letters included). */
  sizeAt(logId: LogId, offset: Offset): Promise<LeafIndex>
  /** Root of the first `size` leaves, from stored nodes and at most 255 leaves per level. */
  rootAt(logId: LogId, size: LeafIndex): Promise<Hash>
  /** RFC 9162 §2.1.3, from stored nodes and leaves; `index` < `size` ≤ the log's size. Throws LOG_DAMAGED. */
  inclusionProof(logId: LogId, index: LeafIndex, size: LeafIndex): Promise<readonly Hash[]>
  /** RFC 9162 §2.1.4; 0 < `oldSize` ≤ `size` ≤ the log's size. Throws LOG_DAMAGED. */
  consistencyProof(logId: LogId, oldSize: LeafIndex, size: LeafIndex): Promise<readonly Hash[]>
}

// ───────────────────────────── event log: verification (src/store) ─────────────────────────────

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

// ───────────────────────────── checkpoints (src/store) ─────────────────────────────

export interface CheckpointPosition {
  readonly logId: LogId
  readonly partition: number
  /** Covers the offsets below. */
  readonly offset: Offset
  readonly size: LeafIndex
  readonly rootHash: Hash
  /** The C2SP signed note, byte for byte; null when it was stored without a signature. */
  readonly note: string | null
}

export interface Checkpoint {
  readonly id: string
  readonly topic: string
  /** As requested; null for "all partitions" / "the head". */
  readonly partition: number | null
  readonly offset: Offset | null
  readonly createdAt: Date
  readonly createdBy: string
  readonly positions: readonly CheckpointPosition[]
}

/** `createdAt`: the instant of the signatures; the database's clock when it is left out. */
export type NewCheckpoint = Omit<Checkpoint, 'createdAt'> & { readonly createdAt?: Date }

/** What a signed checkpoint says of one log. */
export interface SignedPosition extends CheckpointPosition {
  readonly note: string
  readonly checkpointId: string
  readonly createdAt: Date
}

/** How far the checkpoints of a topic reach, as one statement saw it. */
export interface CheckpointStanding {
  /** The newest of the whole topic at its head; its age by the database's clock. */
  readonly newest: { readonly id: string; readonly createdAt: Date; readonly ageMs: number } | null
  /** Leaves of the logs that are appended to which no checkpoint covers. */
  readonly uncovered: bigint
}

export interface CheckpointStore {
  /** Stores once: the same id again returns what is stored. */
  insertCheckpoint(checkpoint: NewCheckpoint): Promise<Checkpoint>
  getCheckpoint(id: string): Promise<Checkpoint | null>
  latestCheckpoint(filter: { topic?: string; partition?: number }): Promise<Checkpoint | null>
  /** Of the newest signed checkpoint that covers the leaf. */
  newestCovering(logId: LogId, index: LeafIndex): Promise<SignedPosition | null>
  standingOf(topic: string): Promise<CheckpointStanding>
}

export interface KeyState {
  /** Of every key that ever signed, the oldest first. */
  readonly periods: readonly KeyPeriod[]
  /** The database's clock, ms since the epoch. */
  readonly nowMs: number
}

export interface SigningKeyStore {
  keyState(): Promise<KeyState>
  /** Records what `decide` changed, one caller at a time. What it throws comes through, and nothing is recorded. */
  changeKeys<T extends { readonly periods: readonly KeyPeriod[] }>(decide: (state: KeyState) => T): Promise<T>
}

// ───────────────────────────── notes held elsewhere (src/store, src/places) ─────────────────────────────

/** A signed note that a place does not have yet. */
export interface NoteToPlace {
  readonly logId: LogId
  readonly checkpointId: string
  readonly size: LeafIndex
  readonly note: string
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
  /** The newest failure, when nothing was placed after it. */
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
  /** Notes that the place does not have, some of each log, by size. */
  notesToPlace(place: string): Promise<readonly NoteToPlace[]>
  /** The largest size of the log that the place holds, or 0. */
  heldSize(place: string, logId: LogId): Promise<LeafIndex>
  /** Once for each place, log and size: a second word changes nothing. */
  recordPlacement(place: string, note: NoteToPlace, placement: Placement): Promise<void>
  /** The same failure again is written down every few minutes only. */
  recordFailure(place: string, note: NoteToPlace, failure: { code: string; detail: string }): Promise<void>
  /** In the order of the places. */
  standingOf(places: readonly string[]): Promise<readonly PlaceStanding[]>
  /** Of the logs and sizes that the checkpoint has, by place. */
  placedNotes(checkpointId: string): Promise<readonly PlacedNote[]>
  /** Sizes of the log that a signed checkpoint is stored for. */
  signedSizes(logId: LogId): Promise<ReadonlySet<bigint>>
}

// ───────────────────────────── producers (src/store) ─────────────────────────────

export interface ProducerSource {
  readonly source: string
  /** `require` also while a key of it that has not ended is stored in a form that cannot be read. */
  readonly policy: SignaturePolicy
  /** The oldest first; of more than a thousand those that are valid, then those still to come, then the newest. */
  readonly keys: readonly ProducerKey[]
}

export interface ProducerStore {
  /** Sources whose signatures are looked at, with all keys but those that ended more than an hour ago. */
  signatureSources(): Promise<ReadonlyMap<string, SourceSignatures>>
  /** By source, from behind `after`; one alone with `source`. */
  listSources(query: {
    readonly source?: string
    readonly after?: string
    readonly limit: number
  }): Promise<readonly ProducerSource[]>
  /** The keys that were valid then, by what is known of them now. */
  keysAt(source: string, at: Date): Promise<readonly VerifierKey[]>
  /** Adds a key, or gives a known one another validity. Throws PRODUCERS_FULL. */
  putKey(request: ProducerKeyRequest, createdBy: string): Promise<ProducerSource>
  /** Throws PRODUCER_KEY_MISSING for a policy that needs a key where none is valid, PRODUCERS_FULL. */
  putPolicy(request: SignaturePolicyRequest, createdBy: string): Promise<ProducerSource>
}

// ───────────────────────────── replays (src/store) ─────────────────────────────

export interface ReplayLogRecord {
  readonly logId: LogId
  readonly partition: number
  readonly from: Offset
  readonly to: Offset
  readonly planned: bigint
  readonly targetPartition: number
  /** Set before the first record is sent: a missing cursor afterwards is CURSOR_LOST. */
  readonly started: boolean
  /** Mirror for people; the truth is the cursor in Kafka. */
  readonly cursor: Offset
  readonly events: bigint
  readonly rootHash: Hash | null
}

export interface ReplayRecord {
  readonly plan: ReplayPlan
  readonly status: ReplayStatus
  readonly createdAt: Date
  readonly createdBy: string
  readonly logs: readonly ReplayLogRecord[]
  readonly receipt: ReplayReceipt | null
  readonly error: { readonly code: string; readonly detail: string } | null
}

export interface Page<T> {
  readonly items: readonly T[]
  /** Opaque; null at the end. */
  readonly nextCursor: string | null
}

export interface ReplayStore {
  /** Inserts the plan or returns what is stored under the replay id (compare `request` yourself). */
  insertPlan(plan: ReplayPlan, createdBy: string): Promise<ReplayRecord>
  getReplay(replayId: string): Promise<ReplayRecord | null>
  getPlan(planId: string): Promise<ReplayRecord | null>
  listReplays(query: { cursor?: string; limit: number; status?: ReplayStatus }): Promise<Page<ReplayRecord>>
  /** True if this call set it, false if it was set already. */
  markStarted(planId: string, logId: LogId): Promise<boolean>
  mirrorProgress(
    planId: string,
    logId: LogId,
    cursor: Offset,
    events: bigint,
    rootHash: Hash | null,
  ): Promise<void>
  /** Failed with this code becomes running again, without an error; any other state is left as it is. */
  reopen(planId: string, code: string): Promise<void>
  setStatus(
    planId: string,
    status: ReplayStatus,
    end?: {
      receipt?: ReplayReceipt
      error?: { code: string; detail: string }
    },
  ): Promise<void>
}

// ───────────────────────────── verifications (src/store) ─────────────────────────────

export interface NewVerification {
  readonly id: string
  readonly kind: VerificationKind
  readonly workflowId: string
  readonly request: unknown
  /** Logs that it is about. */
  readonly parts: number
  /** Leaves or records that they had. */
  readonly total: bigint
  readonly createdBy: string
}

export type VerificationVerdict = 'intact' | 'damaged' | 'cancelled' | 'failed'

export interface VerificationRecord extends NewVerification {
  readonly createdAt: Date
  readonly partsDone: number
  readonly damaged: number
  /** The damaged ones first, at most a hundred; empty in lists. */
  readonly verified: readonly VerifiedPart[]
  /** Null while it runs. */
  readonly result: {
    readonly verdict: VerificationVerdict
    readonly finishedAt: Date
    readonly error: { readonly code: string; readonly detail: string } | null
  } | null
}

export interface VerificationStore {
  /** Stores once: the same id again returns what is stored. */
  insertVerification(verification: NewVerification): Promise<VerificationRecord>
  /** Each once; a second word on the same changes nothing. */
  insertPart(id: string, logId: LogId, part: VerifiedPart): Promise<void>
  insertResult(
    id: string,
    verdict: VerificationVerdict,
    error?: { readonly code: string; readonly detail: string },
  ): Promise<void>
  getVerification(id: string): Promise<VerificationRecord | null>
  /** Newest first, without what was verified. */
  listVerifications(query: {
    cursor?: string
    limit: number
    kind?: VerificationKind
  }): Promise<Page<VerificationRecord>>
  /** The newest verification of logs that came to a verdict. */
  lastFinished(): Promise<{ readonly damaged: boolean; readonly finishedAt: Date } | null>
}

// ───────────────────────────── archives (src/store, src/places) ─────────────────────────────

/** A part of a log: leaves [fromLeaf, toLeaf), which are those with offsets in [fromOffset, toOffset). */
export interface LeafRange {
  readonly fromLeaf: LeafIndex
  readonly toLeaf: LeafIndex
  readonly fromOffset: Offset
  readonly toOffset: Offset
}

export interface ArchivedLog extends LeafRange {
  readonly logId: LogId
  /** Of the log's first `toLeaf` leaves. */
  readonly rootHash: Hash
}

export const archiveFileKinds = ['leaves', 'checkpoints'] as const
export type ArchiveFileKind = (typeof archiveFileKinds)[number]

export interface ArchivedFile extends LeafRange {
  readonly kind: ArchiveFileKind
  readonly ordinal: number
  readonly lines: number
  readonly name: string
  readonly bytes: number
  readonly unpackedBytes: number
  readonly sha256: Hash
}

export interface NewArchive {
  readonly id: string
  readonly workflowId: string
  readonly request: unknown
  readonly place: string
  readonly createdBy: string
  readonly logs: readonly ArchivedLog[]
}

export interface ArchiveRecord extends Omit<NewArchive, 'logs'> {
  readonly createdAt: Date
  /** Newest checkpoint when it was planned: of later ones only that which was made for it is in it. */
  readonly checkpointSequence: bigint
  /** All of them; none in lists. */
  readonly logs: readonly (ArchivedLog & {
    readonly identity: LogIdentity
    readonly incarnation: number
    readonly startOffset: Offset
    readonly written: bigint
  })[]
  readonly totals: {
    readonly logs: number
    readonly leaves: bigint
    readonly written: bigint
    readonly files: number
    readonly bytes: bigint
  }
  /** Null while it runs. */
  readonly result: {
    readonly status: 'verified' | 'cancelled' | 'failed'
    readonly manifestHash: Hash | null
    readonly finishedAt: Date
    readonly error: { readonly code: string; readonly detail: string } | null
  } | null
}

export type NewArchiveResult =
  | { readonly status: 'verified'; readonly manifestHash: Hash }
  | { readonly status: 'cancelled' | 'failed'; readonly code: string; readonly detail: string }

export interface ArchiveStore {
  /** Stores once: the same id again returns what is stored. */
  insertArchive(archive: NewArchive): Promise<ArchiveRecord>
  getArchive(id: string): Promise<ArchiveRecord | null>
  listArchives(query: { cursor?: string; limit: number }): Promise<Page<ArchiveRecord>>
  /** Each once; a second word on the same changes nothing. */
  insertFile(id: string, logId: LogId, file: ArchivedFile): Promise<void>
  lastFile(id: string, logId: LogId, kind: ArchiveFileKind): Promise<ArchivedFile | null>
  filesOf(id: string, logId: LogId, kind: ArchiveFileKind): Promise<readonly ArchivedFile[]>
  /** The first one stays. */
  insertResult(id: string, result: NewArchiveResult): Promise<void>
  /** Leaves of the log ingested in [fromMs, toMs); null: no bound. */
  leavesBetween(logId: LogId, fromMs: number | null, toMs: number | null): Promise<LeafRange>
  /** Those of an asked-for range that the log has. */
  leavesOf(logId: LogId, fromLeaf: LeafIndex, toLeaf: LeafIndex): Promise<LeafRange>
  /** Of the last of the first `size` leaves, ms since the epoch; of none: when the log was opened. Throws LOG_DAMAGED. */
  ingestedAt(logId: LogId, size: LeafIndex): Promise<number>
  /** Compact range of the first `size` leaves. Throws LOG_DAMAGED. */
  frontierAt(logId: LogId, size: LeafIndex): Promise<Frontier>
  /** Over `upTo` leaves at most, made up to `sequence`, and the one with the id; by size, then id, from behind `after`. */
  checkpointsOf(
    logId: LogId,
    range: { readonly upTo: bigint; readonly sequence: bigint; readonly id: string | null },
    after: { readonly size: bigint; readonly id: string } | null,
    limit: number,
  ): Promise<readonly ArchivedCheckpoint[]>
  /** ms since the epoch. */
  logCreatedAt(logId: LogId): Promise<number>
  /** Newest migration. */
  schemaVersion(): Promise<string>
}

export interface HoldStore {
  /** Adds a word on the subject: set or lifted. Throws HOLD_UNCHANGED. */
  putHold(request: HoldRequest, held: boolean, createdBy: string): Promise<HoldView>
  /** Of every subject its newest word; those that are held first. */
  listHolds(): Promise<readonly HoldView[]>
}

/** Where archives are put and read back from: a folder, or a bucket. Names have slashes; there is no order in listing. */
export interface ArchivePlace {
  /** For people: a path or `s3://bucket/prefix`. */
  readonly name: string
  /** Whole or not at all; the same name again replaces it. Throws PLACE_UNAVAILABLE. */
  put(name: string, content: Buffer, signal: AbortSignal): Promise<void>
  /** Null when there is no such file. Throws PLACE_UNAVAILABLE, also when it has more than `maxBytes`. */
  get(name: string, maxBytes: number, signal: AbortSignal): Promise<Buffer | null>
  /** Names of the folders directly in the place. */
  folders(signal: AbortSignal): Promise<readonly string[]>
  /** Lets go of connections. */
  close(): void
}

export interface ArchiveCodec {
  pack(content: Buffer): Promise<Buffer>
  /** Null when it is damaged, or unpacks to other than `unpackedBytes`. */
  unpack(packed: Buffer, unpackedBytes: number): Promise<Buffer | null>
}

// ───────────────────────────── recovery (src/store) ─────────────────────────────

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
  appendRows(logId: LogId, rows: readonly RestoredRow[], nodes: readonly RestoredNode[]): Promise<void>
  closeLog(logId: LogId, position: RestoredPosition, leaderEpoch: number): Promise<void>
  restoreCheckpoints(logId: LogId, checkpoints: readonly ArchivedCheckpoint[]): Promise<void>
  restoreKeys(periods: readonly KeyPeriod[]): Promise<void>
  restoreProducers(sources: readonly ProducerSource[]): Promise<void>
  restoreHolds(holds: readonly HoldView[]): Promise<void>
  recordRecovery(actor: string, detail: unknown): Promise<void>
}

export interface RecoveryStore {
  /** Names of tables that hold something; none: the database is migrated and empty. Throws SCHEMA_OUTDATED. */
  tablesInUse(): Promise<readonly string[]>
  /** Partitions of `events` for the days, ms since the epoch each. Throws RECOVERY_LOCKS. */
  makeDays(days: readonly number[]): Promise<void>
  inTransaction<T>(work: (writer: RecoveryWriter) => Promise<T>): Promise<T>
}

// ───────────────────────────── queries and the record of actions (src/store) ─────────────────────────────

/** An event as the API shows it; bytes are the stored value. */
export interface StoredEvent {
  readonly logId: LogId
  readonly topic: string
  readonly topicId: string
  readonly partition: number
  readonly incarnation: number
  /** At which its log begins. */
  readonly startOffset: Offset
  readonly offset: Offset
  readonly leafIndex: LeafIndex
  readonly id: string
  readonly type: string
  readonly source: string
  readonly tenantId: string | null
  readonly timestampMs: number
  readonly kafkaTimestamp: bigint
  readonly classification: Classification
  readonly policyTags: readonly string[]
  readonly key: Buffer | null
  readonly value: Buffer
  readonly headers: Buffer
  readonly contentHash: Hash
  readonly leafHash: Hash
  readonly ingestedAt: Date
}

export interface StoredDeadLetter {
  readonly topic: string
  readonly partition: number
  readonly incarnation: number
  readonly offset: Offset
  readonly leafIndex: LeafIndex
  readonly code: DeadLetterCode
  readonly detail: string
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: Buffer
  readonly kafkaTimestamp: bigint
  readonly ingestedAt: Date
}

export interface EventQuery {
  readonly topic?: string
  readonly partition?: number
  /** All of them when absent. */
  readonly incarnation?: number
  readonly type?: string
  readonly source?: string
  readonly tenantId?: string
  readonly classification?: Classification
  readonly fromOffset?: Offset
  readonly toOffset?: Offset
  readonly cursor?: string
  readonly limit: number
}

export interface DeadLetterQuery {
  readonly topic?: string
  readonly partition?: number
  /** All of them when absent. */
  readonly incarnation?: number
  readonly code?: DeadLetterCode
  readonly cursor?: string
  readonly limit: number
}

/** What tells events with the same id apart: the log, and the place in it. */
export interface EventPlace {
  readonly topic?: string
  readonly partition?: number
  readonly incarnation?: number
  readonly offset?: Offset
}

export interface LogQuery {
  readonly topic?: string
  readonly partition?: number
  readonly cursor?: string
  readonly limit: number
}

export interface ListedLog extends LogState {
  /** A newer incarnation follows it. */
  readonly superseded: boolean
}

export interface OperatorAction {
  /** Who asked: `X-Requested-By`, or `anonymous`. */
  readonly actor: string
  readonly action: string
  readonly target: string
  readonly outcome: string
  readonly requestId: string
  readonly detail: unknown
}

export interface QueryStore {
  findEvents(query: EventQuery): Promise<Page<StoredEvent>>
  /** All events with the id, of all logs, narrowed by where they stand. At most 100. */
  findEventsById(id: string, where: EventPlace): Promise<readonly StoredEvent[]>
  findDeadLetters(query: DeadLetterQuery): Promise<Page<StoredDeadLetter>>
  recordAction(action: OperatorAction): Promise<void>
  allLogs(): Promise<readonly LogState[]>
  /** All that have a row, whatever it says. */
  namedLogs(): Promise<readonly NamedLog[]>
  /** The first hundred that rows of other tables name, and that have none. */
  goneLogs(): Promise<readonly GoneLog[]>
  /** Logs of all incarnations in the order in which they were opened. */
  findLogs(query: LogQuery): Promise<Page<ListedLog>>
}

/** What happened to one event; every answer is bounded. */
export interface CustodyStore {
  checkpointsOver(id: LogId, index: LeafIndex): Promise<CustodyView['checkpoints']>
  replaysOf(event: StoredEvent): Promise<Bounded<CustodyReplay>>
  /** Events that name the id as their cause. */
  effectsOf(id: string): Promise<Bounded<EventReference>>
  /** The events with the id, and what the first of them names as its own cause. Any text: not every one is an id. */
  cause(id: string): Promise<{
    readonly events: readonly EventReference[]
    readonly causationId: string | null
  }>
  /** What a source's events had to show at that time. */
  policyAt(source: string, at: Date): Promise<SignaturePolicy>
}

export interface SchemaProbe {
  /** `ready`, or what is wrong; throws DATABASE_UNAVAILABLE when nobody answers. */
  check(): Promise<'ready' | 'missing' | 'outdated'>
}

// ───────────────────────────── Kafka: source side (src/kafka) ─────────────────────────────

/** What one fetch brought for one source partition. */
export interface SourceBatch {
  readonly topic: string
  readonly partition: number
  /** The offset that was asked for: must equal the log's next offset. */
  readonly fetchedOffset: Offset
  /** The position after this batch, holes at the end included. */
  readonly nextOffset: Offset
  readonly highWatermark: Offset
  /** Leader epoch of the last record batch; −1 when there was none. */
  readonly leaderEpoch: number
  /** In offset order; aborted and control records are left out. Decompression happens while iterating, bounded. */
  parts(): AsyncIterable<SourcePart>
  /** Compressed size as fetched. */
  readonly bytes: number
}

export type SourcePart =
  | {
      readonly kind: 'records'
      readonly records: SourceRecords
      /**
       * True: they lie in so many bytes that a process has only one such batch open. Whoever asks for the next part, or ends
       * the iteration, holds none of them any more; others wait for that.
       */
      readonly isLarge: boolean
    }
  | { readonly kind: 'undecodable'; readonly batch: UndecodableBatch }

export interface TopicPartitionDescription {
  readonly partition: number
  readonly leaderEpoch: number
  /** −1 when the partition has no leader now. */
  readonly leader: number
}

export interface TopicDescription {
  readonly topic: string
  /** Kafka's topic id as a lower-case UUID with dashes. */
  readonly topicId: string
  readonly partitions: readonly TopicPartitionDescription[]
}

export interface TopicConfig {
  readonly cleanupPolicy: string
  readonly retentionMs: bigint
  readonly retentionBytes: bigint
  readonly maxMessageBytes: number
  readonly timestampType: 'CreateTime' | 'LogAppendTime'
  readonly timestampAfterMaxMs: bigint
  readonly timestampBeforeMaxMs: bigint
}

export interface TopicDirectory {
  /** Metadata v10; null when the topic does not exist. Throws KAFKA_UNAVAILABLE. */
  describe(topic: string, signal?: AbortSignal): Promise<TopicDescription | null>
  config(topic: string): Promise<TopicConfig>
  /** Idempotent: an existing topic is left as it is. `signal` bounds the wait for leaders. */
  create(topic: string, partitions: number, config: Record<string, string>): Promise<TopicDescription>
  /** Log start and end (read_committed last stable offset not needed) of a partition. */
  bounds(topic: string, partition: number): Promise<{ start: Offset; end: Offset }>
  /** The topic id as the partition's leader knows it now: ~1 ms, asked once per append. Throws KAFKA_UNAVAILABLE. */
  currentTopicId(topic: string, partition: number): Promise<string>
  /** OffsetForLeaderEpoch v3: end offset of the epoch, or null when the broker knows no such epoch. */
  epochEnd(topic: string, partition: number, leaderEpoch: number): Promise<Offset | null>
  /** What the group has committed; null when nothing. Throws KAFKA_UNAVAILABLE. */
  groupOffset(groupId: string, topic: string, partition: number): Promise<Offset | null>
  ping(): Promise<void>
}

export interface SourceConsumerHandlers {
  /**
   * Called once per fetched batch, also for batches emptied by filtering, one at a time per partition. Returning means
   * "fetch on"; the batch may still be worked on. A handler that takes long sends heartbeats; they may throw: let it through.
   */
  onBatch(batch: SourceBatch, heartbeat: () => Promise<void>): Promise<void>
  /** What was fetched of the partition cannot be read; it is fetched again after a wait. */
  onTrouble?(partition: number, error: unknown): void
  /** After each (re)join: what is assigned now. */
  onAssigned(partitions: readonly number[]): void
  /** The consumer died and does not come back; rebuild it. */
  onCrash(error: Error): void
}

export interface SourceConsumer {
  start(): Promise<void>
  /** Next fetch of the partition starts here. */
  seek(partition: number, offset: Offset): void
  pause(partition: number): void
  resume(partition: number): void
  /** Commits the group offset: a mirror for lag tools. Throws when the group moved on. */
  commit(partition: number, offset: Offset): Promise<void>
  /** Bounded: returns within `timeoutMs` whatever kafkajs does. */
  stop(timeoutMs: number): Promise<void>
}

export interface SourceConsumerOptions {
  readonly topic: string
  readonly groupId: string
  readonly sessionTimeoutMs: number
  readonly maxBytesPerPartition: number
  readonly minBytes: number
  readonly maxWaitMs: number
  readonly handlers: SourceConsumerHandlers
}

export interface SourceConsumerFactory {
  create(options: SourceConsumerOptions): SourceConsumer
}

// ───────────────────────────── Kafka: replay side (src/kafka) ─────────────────────────────

/** Records of one page to be produced to one target partition, in order. */
export interface ProducePage {
  readonly records: SourceRecords
  /** Indexes into `records`, ascending; all when null. */
  readonly selected: Int32Array | null
  /** Wire form of the headers of record `index` (count included), replacing the stored ones; null keeps them as they are. */
  readonly headersOf: ((index: number) => Buffer) | null
}

export interface Cursor {
  readonly offset: Offset
  readonly metadata: string
}

/**
 * One transactional producer on one transactional id. Any error other than TARGET_REJECTED is an unknown outcome:
 * `close` the lane, open a new one, `begin`, `readCursor` (design §6, step 4).
 */
export interface TransactionLane {
  /** Kafka's id of this producer, the same for all owners of the transactional id as long as Kafka remembers that; null before the first `begin`. */
  readonly producerId: bigint | null
  /** InitProducerId on the first call: the only thing that fences an older owner; waits until its transaction has ended. */
  begin(): Promise<void>
  /** OffsetFetch v7 with require_stable, error 88 retried. Null when the group has no offset there. Call after the first `begin`. */
  readCursor(): Promise<Cursor | null>
  /** One produce request per call and partition, split under `maxMessageBytes` of the target. Throws TARGET_REJECTED naming the offset. */
  send(partition: number, page: ProducePage): Promise<void>
  commit(cursor: Cursor): Promise<void>
  abort(): Promise<void>
  close(): Promise<void>
}

export interface TransactionLaneOptions {
  readonly transactionalId: string
  readonly groupId: string
  /** The cursor is kept at (targetTopic, partition 0). */
  readonly targetTopic: string
  readonly maxMessageBytes: number
  readonly transactionTimeoutMs: number
}

export interface TransactionLaneFactory {
  open(options: TransactionLaneOptions, signal: AbortSignal): Promise<TransactionLane>
}

export type LastRecord<T> =
  | { readonly kind: 'found'; readonly value: T; readonly producerId: bigint }
  /** No committed record of [start, end) is wanted; Kafka has nothing below `start` any more. */
  | { readonly kind: 'none'; readonly start: Offset }
  /** Reading is not allowed here; `reason` is for people. */
  | { readonly kind: 'unreadable'; readonly reason: string }

/** Records of a partition as a read_committed consumer sees them, from an offset up to the end that was asked for. */
export interface TargetScan {
  /** First offset that Kafka still has. */
  readonly start: Offset
  /** The end as it was when the scan was opened, or as it was asked for. */
  readonly end: Offset
  /** Null at the end. What cannot be opened is left out of `records` and counted. Throws KAFKA_UNAVAILABLE. */
  next(): Promise<{
    readonly records: readonly SourceRecords[]
    readonly undecodable: number
    /** First offset behind them. */
    readonly next: Offset
  } | null>
  close(): void
}

export interface TargetReader {
  /** From `from` on; waits while an open transaction hides records below the end. Throws KAFKA_UNAVAILABLE. */
  scan(
    place: { readonly topic: string; readonly partition: number },
    from: Offset,
    end: Offset | null,
    signal: AbortSignal,
  ): Promise<TargetScan>
  /**
   * The last committed record of a partition for which `pick` gives a value, looked for from the end backwards: the end as it
   * is when the call is made. Waits while an open transaction hides records below it. Reads at most the whole partition.
   * Throws KAFKA_UNAVAILABLE.
   */
  lastRecord<T>(
    place: { readonly topic: string; readonly partition: number },
    pick: (records: SourceRecords, index: number) => T | null,
    signal: AbortSignal,
  ): Promise<LastRecord<T>>
}
