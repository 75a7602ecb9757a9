/** Verifications (src/store). */
import type { LogId } from '../domain/model.ts'
import type { VerificationKind, VerifiedPart } from '../domain/verification/view.ts'
import type { Page } from './replays.ts'

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

export interface LastVerdict {
  readonly damaged: boolean
  readonly finishedAt: Date
  /** Logs of which the newest verdict, of whatever verification, is that they are damaged. */
  readonly damagedLogs: number
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
  hasVerification(id: string): Promise<boolean>
  /** Newest first, without what was verified. */
  listVerifications(query: {
    cursor?: string
    limit: number
    kind?: VerificationKind
  }): Promise<Page<VerificationRecord>>
  /** The newest verification of logs that came to a verdict about some. */
  lastFinished(): Promise<LastVerdict | null>
}
