/** What the activities need, handed in. */
import type { RecordVerdict } from '../src/domain/verification/deriveRow.ts'
import type { FindingCounts } from '../src/domain/verification/finding.ts'
import type { Logger } from '../src/logger.ts'
import type {
  ArchiveCodec,
  ArchivePlace,
  ArchiveStore,
  CheckpointStore,
  EventLogReader,
  HoldStore,
  LogAudit,
  NotePlace,
  NoteStore,
  Placement,
  ProducerStore,
  QueryStore,
  ReplayStore,
  SigningKeyStore,
  TargetReader,
  TopicDirectory,
  TransactionLaneFactory,
  VerificationStore,
} from '../src/ports.ts'
import type { CheckpointSigning } from './signers.ts'

export interface ReplaySettings {
  /** Whether a missing target topic is created. */
  readonly createTargets: boolean
  /** Logs of one replay that run at once. */
  readonly concurrency: number
  /** Most source positions that a page looks at. */
  readonly pageEvents: number
  readonly pageBytes: number
  /** How long a slice runs before it returns its cursor to the workflow. */
  readonly sliceMs: number
  /** Longer than the worst transaction; until then an orphan blocks read_committed readers of the target. */
  readonly transactionTimeoutMs: number
  /** Topics that ingest reads: no targets. */
  readonly ingestedTopics: readonly string[]
}

export interface ReplayObserver {
  /** A transaction was committed to the target with its cursor. */
  pageCommitted(page: { readonly events: number; readonly scanned: number; readonly seconds: number }): void
  transaction(outcome: 'committed' | 'aborted' | 'unknown'): void
  laneRestarted(): void
}

export interface VerificationObserver {
  leavesVerified(leaves: number): void
  logVerified(verdict: 'intact' | 'damaged', found: FindingCounts): void
}

export interface NoteObserver {
  notePlaced(place: string, outcome: Placement['outcome']): void
  noteFailed(place: string): void
}

export interface ActivityDependencies {
  readonly log: EventLogReader
  readonly audit: LogAudit
  readonly logs: Pick<QueryStore, 'allLogs' | 'namedLogs' | 'goneLogs'>
  readonly verifications: VerificationStore
  /** As ingest comes to it, but for sizes: those are settings. */
  readonly verdict: RecordVerdict
  readonly checkpoints: CheckpointStore
  readonly signingKeys: SigningKeyStore
  readonly signing: CheckpointSigning
  readonly notes: NoteStore
  /** Outside the database, where notes are sent. */
  readonly places: readonly NotePlace[]
  /** A checkpoint was stored: its notes wait. */
  readonly checkpointStored: () => void
  readonly archives: ArchiveStore
  /** Where archives are put; null where none is configured. */
  readonly archivePlace: ArchivePlace | null
  readonly archiveCodec: ArchiveCodec
  readonly holds: Pick<HoldStore, 'listHolds'>
  readonly producers: Pick<ProducerStore, 'listSources'>
  /** Name of the installation where no key has said it yet. */
  readonly instanceName: string
  readonly replays: ReplayStore
  readonly topics: TopicDirectory
  readonly lanes: TransactionLaneFactory
  readonly targets: TargetReader
  readonly settings: ReplaySettings
  readonly logger: Logger
  readonly observer: ReplayObserver & VerificationObserver & NoteObserver
  /** Ms since the epoch. */
  readonly now: () => number
  readonly randomUuid: () => string
}

/** One run of an activity, without Temporal. */
export interface ActivityScope {
  /** Aborted when the activity is cancelled or its worker stops: come to an end within a page. */
  readonly signal: AbortSignal
  /** What people see beside the running activity. */
  report(details: Readonly<Record<string, unknown>>): void
  /** What the attempt before reported last; undefined at the first one. */
  readonly reported?: unknown
}
