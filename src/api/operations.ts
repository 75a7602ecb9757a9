import type { HoldRequest, HoldView } from '../domain/archive/hold.ts'
import type { ArchiveRequest } from '../domain/archive/request.ts'
import type { ArchiveView } from '../domain/archive/view.ts'
import type { CheckpointRequest } from '../domain/checkpointRequest.ts'
import type { CheckpointScheduleRequest, CheckpointScheduleView } from '../domain/checkpointSchedule.ts'
import type { CustodyView } from '../domain/custody.ts'
import type { IncarnationRequest } from '../domain/incarnationRequest.ts'
import type { LogView, OpenedIncarnationsView } from '../domain/logView.ts'
import type { ProducerKeyRequest, SignaturePolicyRequest } from '../domain/producerRequests.ts'
import type { ProducerView } from '../domain/producerView.ts'
import type { RecoveryRequest } from '../domain/recoveryRequest.ts'
import type { ReplayRequest, ReplayStatus } from '../domain/replay.ts'
import type { ReplayView } from '../domain/replayView.ts'
import type { VerificationRequest } from '../domain/verification/request.ts'
import type {
  VerificationScheduleRequest,
  VerificationScheduleView,
} from '../domain/verification/schedule.ts'
import type { VerificationKind, VerificationView } from '../domain/verification/view.ts'
import type {
  CheckpointStore,
  LogQuery,
  NoteStore,
  Page,
  QueryStore,
  SigningKeyStore,
  StoredEvent,
  UnplacedNote,
} from '../ports.ts'

/** A checkpoint as people see it; offsets and sizes are decimal strings, hashes 64 hex digits. */
export interface CheckpointView {
  readonly id: string
  readonly topic: string
  readonly partition?: number
  readonly offset?: string
  readonly createdAt: string
  readonly createdBy: string
  readonly positions: readonly {
    readonly partition: number
    readonly offset: string
    readonly size: string
    readonly rootHash: string
    /** `<name>+<key id>` of each key that signed; none for a checkpoint without a signature. */
    readonly signedBy: readonly string[]
    /** What became of its note at places outside the database. */
    readonly heldBy?: readonly HeldView[]
    /** Places of NOTE_PLACES that do not have it yet. */
    readonly waitsFor?: readonly WaitsView[]
  }[]
}

export interface HeldView {
  readonly place: string
  readonly outcome: 'held' | 'superseded' | 'conflict'
  readonly at: string
  readonly detail?: string
  /** `<name>+<key id>` of each witness that cosigned. */
  readonly cosignedBy?: readonly string[]
}

export interface WaitsView {
  readonly place: string
  /** Left out while it is on its way; ISO times. */
  readonly failure?: {
    readonly code: string
    readonly detail: string
    readonly since: string
    readonly at: string
  }
}

/**
 * What the API can have done. All throw ServiceError, bounded in time. A `check…` changes nothing: it refuses what
 * would fail, so that a refusal is known before the action is recorded as accepted.
 */
export interface Operations {
  checkReplay(request: ReplayRequest): Promise<void>
  /** With an id that is known: the same replay again, or REPLAY_ID_REUSED when it was another request. */
  startReplay(request: ReplayRequest, requestedBy: string, replayId: string): Promise<ReplayView>
  checkCheckpoint(request: CheckpointRequest): Promise<void>
  createCheckpoint(request: CheckpointRequest, requestedBy: string): Promise<CheckpointView>
  /** Throws REPLAY_NOT_FOUND. */
  getReplay(replayId: string): Promise<ReplayView>
  listReplays(query: { cursor?: string; limit: number; status?: ReplayStatus }): Promise<Page<ReplayView>>
  /** The three throw REPLAY_NOT_FOUND, REPLAY_ENDED. */
  cancelReplay(replayId: string, requestedBy: string): Promise<ReplayView>
  pauseReplay(replayId: string, requestedBy: string): Promise<ReplayView>
  resumeReplay(replayId: string, requestedBy: string): Promise<ReplayView>
  /** The two throw REPLAY_NOT_FOUND, CURSOR_NOT_LOST. */
  checkRecovery(replayId: string): Promise<void>
  recoverCursor(replayId: string, recovery: RecoveryRequest, requestedBy: string): Promise<ReplayView>
  /** Throws UNKNOWN_TOPIC, UNKNOWN_PARTITION. */
  checkVerification(request: VerificationRequest): Promise<void>
  startVerification(request: VerificationRequest, requestedBy: string): Promise<VerificationView>
  /** The two throw VERIFICATION_NOT_FOUND; the second VERIFICATION_ENDED. A cancelled one ends some moments later. */
  getVerification(id: string): Promise<VerificationView>
  cancelVerification(id: string): Promise<VerificationView>
  listVerifications(query: {
    cursor?: string
    limit: number
    kind?: VerificationKind
  }): Promise<Page<VerificationView>>
  /** The two throw REPLAY_NOT_FOUND, REPLAY_RUNNING. */
  checkReplayVerification(replayId: string): Promise<void>
  verifyReplay(replayId: string, requestedBy: string): Promise<VerificationView>
  readonly verificationSchedule: {
    /** Throws SCHEDULE_NOT_FOUND, as does `remove`. */
    get(): Promise<VerificationScheduleView>
    put(request: VerificationScheduleRequest, requestedBy: string): Promise<VerificationScheduleView>
    remove(): Promise<void>
  }
  readonly checkpointSchedules: {
    /** Throws UNKNOWN_TOPIC; changes nothing. */
    check(topic: string): Promise<void>
    /** Throws SCHEDULE_NOT_FOUND, as does `remove`. */
    checkRemoval(topic: string): Promise<void>
    get(topic: string): Promise<CheckpointScheduleView>
    list(query: { cursor?: string; limit: number }): Promise<Page<CheckpointScheduleView>>
    put(request: CheckpointScheduleRequest, requestedBy: string): Promise<CheckpointScheduleView>
    remove(topic: string): Promise<void>
  }
  /** Throws UNKNOWN_TOPIC, UNKNOWN_PARTITION, RANGE_EMPTY, ARCHIVE_PLACE_MISSING. */
  checkArchive(request: ArchiveRequest): Promise<void>
  startArchive(request: ArchiveRequest, requestedBy: string): Promise<ArchiveView>
  /** The two throw ARCHIVE_NOT_FOUND; the second ARCHIVE_ENDED. A cancelled one ends some moments later. */
  getArchive(id: string): Promise<ArchiveView>
  cancelArchive(id: string): Promise<ArchiveView>
  listArchives(query: { cursor?: string; limit: number }): Promise<Page<ArchiveView>>
  /** Throws HOLD_UNCHANGED. */
  putHold(request: HoldRequest, held: boolean, requestedBy: string): Promise<HoldView>
  /** Of each subject the newest word. */
  listHolds(): Promise<readonly HoldView[]>
  listLogs(query: LogQuery): Promise<Page<LogView>>
  /** The two throw UNKNOWN_TOPIC, UNKNOWN_PARTITION, SOURCE_MISSING, LOG_NOT_CLOSED. */
  checkIncarnation(request: IncarnationRequest): Promise<void>
  openIncarnation(request: IncarnationRequest): Promise<OpenedIncarnationsView>
  /** Where it came from and what happened to it. Throws LOG_DAMAGED. */
  eventCustody(event: StoredEvent): Promise<CustodyView>
  /** The exported record, one line of JSON (docs/evidence.md). Throws LOG_DAMAGED. */
  eventRecord(event: StoredEvent): Promise<string>
  /** Throws NOT_COVERED, CHECKPOINT_NOT_FOUND, CHECKPOINT_FOREIGN, CHECKPOINT_UNSIGNED, CHECKPOINT_MISMATCH, LOG_DAMAGED. */
  eventProof(event: StoredEvent, checkpointId?: string): Promise<string>
  /** Throws BAD_REQUEST, CHECKPOINT_NOT_FOUND, UNKNOWN_PARTITION, CHECKPOINT_UNSIGNED, CHECKPOINT_MISMATCH, LOG_DAMAGED. */
  checkpointNote(checkpointId: string, partition?: number): Promise<string>
  /** Throws what `eventProof` throws, BAD_REQUEST, CHECKPOINT_EMPTY, CHECKPOINTS_REVERSED. */
  consistencyProof(query: {
    readonly from: string
    readonly to: string
    readonly partition?: number
  }): Promise<string>
  /** By source. Throws BAD_REQUEST for a cursor that is none. */
  listProducers(query: { source?: string; cursor?: string; limit: number }): Promise<Page<ProducerView>>
  /** Throws PRODUCERS_FULL, BAD_REQUEST. */
  putProducerKey(request: ProducerKeyRequest, requestedBy: string): Promise<ProducerView>
  /** The two throw PRODUCER_KEY_MISSING; the second PRODUCERS_FULL too. */
  checkSignaturePolicy(request: SignaturePolicyRequest): Promise<void>
  putSignaturePolicy(request: SignaturePolicyRequest, requestedBy: string): Promise<ProducerView>
}

/** What the API reads and writes without a workflow. */
export type ApiQueries = Pick<
  QueryStore,
  'findEvents' | 'findEventsById' | 'findDeadLetters' | 'recordAction'
> &
  Pick<CheckpointStore, 'getCheckpoint' | 'latestCheckpoint'> &
  Pick<SigningKeyStore, 'keyState'> &
  Pick<NoteStore, 'placedNotes'> & {
    /** At the places that are configured. */
    unplacedNotes(checkpointId: string): Promise<readonly UnplacedNote[]>
  }
