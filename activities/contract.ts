/** What activities take and return: plain JSON, since it travels through Temporal. Offsets and counts are decimal strings. */
import type { PartPosition } from '../src/archive/readArchive.ts'
import type { ArchiveRequest } from '../src/domain/archive/request.ts'
import type { ArchiveView } from '../src/domain/archive/view.ts'
import type { CheckpointRequest } from '../src/domain/checkpointRequest.ts'
import type { CheckpointScheduleRequest, DueReason } from '../src/domain/checkpointSchedule.ts'
import type { PlaceRests } from '../src/domain/evidence/noteRests.ts'
import type { ReplayRequest, ReplayStatus } from '../src/domain/replay.ts'
import type { ReplayReceiptView } from '../src/domain/replayView.ts'
import type { ProgressJson } from '../src/domain/verification/progress.ts'
import type { VerificationRequest } from '../src/domain/verification/request.ts'
import type { TargetProgressJson } from '../src/domain/verification/targetProgress.ts'
import type { VerificationView } from '../src/domain/verification/view.ts'
import type { ErrorCode } from '../src/errors.ts'

/** Of what plans something, and writes it down under its id. */
export interface MayGoOn {
  /**
   * A run before this one has planned it already: a database that knows nothing of it is another one, as after a recovery, and
   * ids of logs mean others there.
   */
  readonly goesOn?: boolean
}

export interface PlanInput extends MayGoOn {
  readonly replayId: string
  readonly request: ReplayRequest
  readonly requestedBy: string
}

export interface PlannedLog {
  readonly logId: number
  readonly partition: number
  readonly from: string
  readonly to: string
  readonly planned: string
}

export interface PlannedReplay {
  readonly planId: string
  readonly targetTopic: string
  /** Logs replayed at once. */
  readonly concurrency: number
  readonly logs: readonly PlannedLog[]
  /** How it ended, when the replay id and the request are those of a replay that is over. */
  readonly ended: ReplayEnd | null
}

export interface ReplayEnd {
  readonly status: ReplayStatus
  readonly receipt?: ReplayReceiptView
  readonly error?: { readonly code: ErrorCode; readonly detail: string }
}

export interface LogInput {
  readonly planId: string
  readonly logId: number
}

export interface SliceResult {
  readonly cursor: string
  /** Produced since the replay began, not in this slice. */
  readonly events: string
  /** The cursor is at the end of the range. */
  readonly done: boolean
}

export interface FenceInput {
  readonly planId: string
}

export interface FencedLog {
  readonly partition: number
  readonly cursor: string
  readonly events: string
  readonly rootHash: string
}

export interface FencedReplay {
  /** The target is still the topic that the plan was made for. */
  readonly targetUnchanged: boolean
  readonly logs: readonly FencedLog[]
}

export interface RecoverInput {
  readonly planId: string
  /** Go on from the mirror where it cannot be found out what was produced: about a second of events may come twice. */
  readonly acceptDoubles: boolean
}

export interface RecoveredLog {
  readonly partition: number
  readonly cursor: string
  readonly events: string
  /**
   * How it is known: `kept`, the cursor was there; `unstarted`, nothing was ever produced; `mirror-end`, the mirror says that
   * all was produced; `read-back`, from the target's own records; `mirror`, approximately, as accepted.
   */
  readonly by: 'kept' | 'unstarted' | 'mirror-end' | 'read-back' | 'mirror'
}

export interface RecoveredReplay {
  readonly logs: readonly RecoveredLog[]
}

export interface FinishInput extends ReplayEnd {
  readonly replayId: string
  readonly request: ReplayRequest
}

export interface RecordStatusInput {
  readonly planId: string
  readonly status: 'running' | 'paused'
}

export interface CheckpointInput {
  readonly checkpointId: string
  readonly request: CheckpointRequest
  readonly requestedBy: string
}

export interface CheckpointResult {
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
  }[]
}

export interface CheckpointDue {
  /** Null when none is due. */
  readonly reason: DueReason | null
  /** Leaves that no checkpoint covers. */
  readonly uncovered: string
}

export interface PlanVerificationInput extends MayGoOn {
  readonly verificationId: string
  readonly workflowId: string
  readonly request: VerificationRequest
  readonly requestedBy: string
}

export interface LogToVerify {
  readonly logId: number
  /** For people: topic, partition and, where there are several, incarnation. */
  readonly name: string
  readonly size: string
}

export interface PlannedVerification {
  /** Logs verified at once. */
  readonly concurrency: number
  readonly logs: readonly LogToVerify[]
}

export interface VerifySliceInput {
  readonly verificationId: string
  readonly logId: number
  /** Where the slice before came to; null at the start. */
  readonly progress: ProgressJson | null
}

export interface PlanReplayVerificationInput extends MayGoOn {
  readonly verificationId: string
  readonly workflowId: string
  readonly replayId: string
  readonly requestedBy: string
}

export interface VerifyReplaySliceInput {
  readonly verificationId: string
  readonly replayId: string
  readonly logId: number
  /** Where the slice before came to; null at the start. */
  readonly progress: TargetProgressJson | null
}

export interface FinishVerificationInput {
  readonly verificationId: string
  readonly verdict: 'intact' | 'damaged' | 'cancelled' | 'failed'
  readonly error?: { readonly code: ErrorCode; readonly detail: string }
}

export interface PlaceNotesInput {
  /** Name of a place in NOTE_PLACES. */
  readonly place: string
  /** As the look before left them; nothing at the first one. */
  readonly rests?: PlaceRests
}

export interface PlacedNotes {
  /** Notes of which it is known now what became of them. */
  readonly placed: number
  /** Others wait, and nothing keeps them. */
  readonly more: boolean
  /** What waits because it failed, when to try it again if nothing new comes, and the first failure. */
  readonly rests?: PlaceRests
  readonly againInMs?: number
  readonly failure?: { readonly code: ErrorCode; readonly detail: string }
}

export interface PlanArchiveInput extends MayGoOn {
  readonly archiveId: string
  readonly workflowId: string
  readonly request: ArchiveRequest
  readonly requestedBy: string
}

export interface PlannedArchive {
  /** Logs written, and read back, at once. */
  readonly concurrency: number
  /** No signed checkpoint reaches to the end of a part, and one could be made. */
  readonly uncovered: boolean
  readonly logs: readonly {
    readonly logId: number
    /** For people: topic, partition and, where there are several, incarnation. */
    readonly name: string
    readonly fromLeaf: string
    readonly toLeaf: string
  }[]
}

export interface ArchiveInput {
  readonly archiveId: string
}

export interface ArchiveLogInput extends ArchiveInput {
  readonly logId: number
}

export interface ArchiveSliceResult {
  /** Leaf behind the last one that lies in a file. */
  readonly written: string
  readonly done: boolean
}

export interface SealArchiveInput extends ArchiveInput {
  /** The checkpoint that was made for the archive; null when none was needed. */
  readonly checkpointId: string | null
}

export interface SealedArchive {
  readonly manifestHash: string
}

export interface VerifyArchiveInput extends ArchiveLogInput, SealedArchive {
  /** Where the slice before came to; null at the start. */
  readonly position: PartPosition | null
}

export interface VerifyArchiveResult {
  readonly position: PartPosition
  readonly done: boolean
}

export interface FinishArchiveInput extends ArchiveInput {
  readonly status: 'verified' | 'cancelled' | 'failed'
  readonly manifestHash?: string
  readonly error?: { readonly code: ErrorCode; readonly detail: string }
}

/** What workflows may call. */
export interface Activities {
  /** Freezes ranges and counts, or returns the plan that is stored for the same id and request. */
  planReplay(input: PlanInput): Promise<PlannedReplay>
  /** Replays pages of one log for some seconds; on cancellation it returns where it stopped. */
  replaySlice(input: LogInput): Promise<SliceResult>
  /** Commits the cursor again where it is, so that Kafka does not forget it. */
  touchCursor(input: LogInput): Promise<void>
  /** From its return on no worker can add a record for the plan. */
  fenceReplay(input: FenceInput): Promise<FencedReplay>
  /** Commits the cursors of a failed replay again where its logs stand, and lets it run again. */
  recoverCursor(input: RecoverInput): Promise<RecoveredReplay>
  finishReplay(input: FinishInput): Promise<void>
  recordStatus(input: RecordStatusInput): Promise<void>
  storeCheckpoint(input: CheckpointInput): Promise<CheckpointResult>
  /** Which leaves of which logs are to be archived; written down once. */
  planArchive(input: PlanArchiveInput): Promise<PlannedArchive>
  /** Writes leaves of one log into files, for some seconds. */
  archiveSlice(input: ArchiveLogInput): Promise<ArchiveSliceResult>
  /** Writes checkpoints and the manifest. */
  sealArchive(input: SealArchiveInput): Promise<SealedArchive>
  /** Reads files of one log back, for some seconds. */
  verifyArchiveSlice(input: VerifyArchiveInput): Promise<VerifyArchiveResult>
  /** Writes the end of an archive down and returns what is known of it. */
  finishArchive(input: FinishArchiveInput): Promise<ArchiveView>
  /** Sends notes that wait to a place outside the database, for some seconds. */
  placeNotes(input: PlaceNotesInput): Promise<PlacedNotes>
  /** Whether a schedule's checkpoint of a topic is due. */
  checkpointDue(input: CheckpointScheduleRequest): Promise<CheckpointDue>
  /** Which logs there are to verify; written down once. */
  planVerification(input: PlanVerificationInput): Promise<PlannedVerification>
  /** Verifies pages of one log for some seconds; at its end what was found is written down. */
  verifyLogSlice(input: VerifySliceInput): Promise<ProgressJson>
  /** Which logs a replay that is over produced, to be compared with its target; written down once. */
  planReplayVerification(input: PlanReplayVerificationInput): Promise<PlannedVerification>
  /** Compares what one log produced, for some seconds; at its end what was found is written down. */
  verifyReplaySlice(input: VerifyReplaySliceInput): Promise<TargetProgressJson>
  /** Writes the end of a verification down and returns what is known of it. */
  finishVerification(input: FinishVerificationInput): Promise<VerificationView>
}
