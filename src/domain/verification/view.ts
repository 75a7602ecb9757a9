/**
 * A verification as the API, the workflow's query `progress` and the CLI show it. Counts and offsets are decimal strings.
 * Free of Node's modules, since workflows import it.
 */
import type { Finding, FindingCounts } from './finding.ts'

export const verificationKinds = ['log', 'replay'] as const
export type VerificationKind = (typeof verificationKinds)[number]

/** `intact` and `damaged` are verdicts; a verification that was cancelled or failed says nothing about what it left out. */
export const verificationStatuses = ['running', 'intact', 'damaged', 'cancelled', 'failed'] as const
export type VerificationStatus = (typeof verificationStatuses)[number]

/** Leaves of a day that was detached on purpose, and whose table is gone. */
export interface DetachedDayView {
  readonly day: string
  /** The first of them, and behind the last; dead letters between them stay. */
  readonly fromLeaf: string
  readonly toLeaf: string
  readonly leaves: string
  /** Verified archives that have some of them, with the SHA-256 of their manifests: whether they really do, `archive verify` tells. */
  readonly archives: readonly { readonly id: string; readonly place: string; readonly manifestHash: string }[]
}

/** What nobody looked at: stored hashes stand for it, and lead to the log's root and to its checkpoints. */
export interface DetachedView {
  readonly leaves: string
  /** The first of them, in order. */
  readonly days: readonly DetachedDayView[]
  /** Days that are not listed. */
  readonly more: number
}

export interface VerifiedPart {
  readonly topic: string
  readonly partition: number
  readonly incarnation: number
  readonly verdict: 'intact' | 'damaged'
  /** Leaves of a log, or records of a target, that were looked at. */
  readonly checked: string
  /** What was counted, by name. */
  readonly counts: Readonly<Record<string, string>>
  /**
   * Offsets between the end of a log's last row and where the log goes on. A few are normal, such as the markers of
   * transactions; many may be records that ingest was made to pass over. Absent in reports of earlier versions.
   */
  readonly offsetsBehindLastRow?: string
  /** Leaves that are away with days that were detached: not among `checked`. Absent when there are none. */
  readonly detached?: DetachedView
  /**
   * Days that were detached and dropped before anybody wrote down which leaves they had: leaves that are missing may be
   * theirs. Absent when nothing is missing, and when there are no such days.
   */
  readonly unknownDetachedDays?: readonly string[]
  /** Of the log or of what was produced, as the rows give it; 64 hex digits. */
  readonly rootHash: string
  /** What was found, by kind. */
  readonly found: FindingCounts
  /** The first bad row; absent when nothing is wrong. */
  readonly first?: Finding
  /** The first of all that was found, in order. */
  readonly findings: readonly Finding[]
}

/** The workflow's query `progress`. */
export interface VerificationProgress {
  readonly id: string
  readonly status: VerificationStatus
  readonly parts: number
  readonly partsDone: number
  readonly damaged: number
  readonly checked: string
  readonly total: string
  /** Those that are at work now. */
  readonly running: readonly {
    readonly name: string
    readonly checked: string
    readonly total: string
    /** What was found so far, by kind. */
    readonly found: FindingCounts
  }[]
}

export interface VerificationView {
  readonly id: string
  readonly workflowId: string
  readonly kind: VerificationKind
  readonly status: VerificationStatus
  readonly request: unknown
  readonly createdAt: string
  readonly createdBy: string
  readonly finishedAt?: string
  readonly progress: {
    readonly parts: number
    readonly partsDone: number
    readonly checked: string
    /** Leaves that are away with detached days: nobody looked at them. Absent when there are none. */
    readonly detached?: string
    /** What `checked` is at the end, with the leaves that are `detached`. */
    readonly total: string
  }
  readonly damaged: number
  /** Of each log: the damaged ones first; at most a hundred. */
  readonly parts: readonly VerifiedPart[]
  readonly error?: { readonly code: string; readonly detail: string }
}

export const verificationEnded = (status: VerificationStatus): boolean => status !== 'running'
