/**
 * An archive as the API, the CLI and the workflow's result show it. Counts, leaves and offsets are decimal strings. Free of
 * Node's modules, since workflows import it.
 */

/** `verified`: all of it was read back from its place and found right. */
export const archiveStatuses = ['running', 'verified', 'cancelled', 'failed'] as const
export type ArchiveStatus = (typeof archiveStatuses)[number]

export interface ArchivedLogView {
  readonly topic: string
  readonly partition: number
  readonly incarnation: number
  /** [from, to) of leaves, and of source offsets. */
  readonly fromLeaf: string
  readonly toLeaf: string
  readonly fromOffset: string
  readonly toOffset: string
  /** Of the log at `toLeaf`; 64 hex digits. */
  readonly rootHash: string
  /** Leaves that lie in files. */
  readonly written: string
}

export interface ArchiveView {
  readonly id: string
  readonly workflowId: string
  readonly status: ArchiveStatus
  readonly request: unknown
  /** Where it lies: a folder or `s3://bucket/prefix`, and the archive's own folder in it. */
  readonly place: string
  readonly createdAt: string
  readonly createdBy: string
  readonly finishedAt?: string
  readonly progress: {
    readonly logs: number
    readonly leaves: string
    readonly written: string
    readonly files: number
    readonly bytes: string
  }
  /** At most a thousand; none in lists. */
  readonly logs: readonly ArchivedLogView[]
  /** SHA-256 of `manifest.json`; of a verified archive. */
  readonly manifestHash?: string
  readonly error?: { readonly code: string; readonly detail: string }
  /** While it runs: why a step of it did not succeed the last time. It is tried again, for ever. */
  readonly waiting?: { readonly code: string; readonly detail: string; readonly attempts: number }
}

/** The workflow's query `progress`. */
export interface ArchiveProgress {
  readonly id: string
  readonly status: ArchiveStatus
  readonly phase: 'planning' | 'writing' | 'verifying' | 'done'
  readonly logs: number
  readonly leaves: string
  readonly written: string
  readonly verified: string
}

export const archiveEnded = (status: ArchiveStatus): boolean => status !== 'running'
