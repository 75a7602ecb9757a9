/** What an audit of a database against notes held elsewhere comes to. Plain JSON: sizes are decimal strings, roots hex. */

export const auditFindingKinds = [
  /** A file that should be a note cannot be read as one. */
  'unreadable-note',
  /** A note that no known key has signed, or whose signature is not good. */
  'bad-note',
  /** Two good notes of one log and size with different roots: somebody was shown another history. */
  'notes-disagree',
  /** The database has no log of the note's origin. */
  'log-missing',
  /** The log has fewer leaves than a note says. */
  'truncated',
  /** The log has another root at the size of a note. */
  'rewritten',
  /** The database has no signed checkpoint of a size that a note is of. */
  'checkpoint-missing',
  /** What the log holds does not follow from its bytes, or lacks parts. */
  'log-damaged',
  /** Leaves went away with a detached day, and no archive that was read back holds them. */
  'detached-unheld',
] as const
export type AuditFindingKind = (typeof auditFindingKinds)[number]

export interface AuditFinding {
  readonly kind: AuditFindingKind
  /** Of the log; missing where the note says none that can be believed. */
  readonly origin?: string
  /** Of the note. */
  readonly size?: string
  readonly noteRoot?: string
  readonly databaseRoot?: string
  /** Where the note is held. */
  readonly where?: string
  /** Notes that it is about. */
  readonly count: string
  /** For people; never holds a value. */
  readonly detail: string
}

export interface AuditedLog {
  readonly origin: string
  readonly notes: number
  /** Of the largest note. */
  readonly covered: string
  /** Leaves that the database has; null when it has no such log. */
  readonly size: string | null
  /** Leaves that went away with detached days: no bytes were there to derive them from. Absent when there are none. */
  readonly detached?: string
  /** Archives were read back, and hold all that is detached; absent when none was to be read, and when nothing is detached. */
  readonly held?: boolean
  readonly verdict: 'intact' | 'damaged'
}

export interface AuditReport {
  readonly verdict: 'intact' | 'damaged'
  /** Good ones. */
  readonly notes: number
  /** Where no good note was found: nothing was compared with what these hold. */
  readonly emptyPlaces: readonly string[]
  /** Other files, that nobody said were notes. */
  readonly passedOver: number
  /** Whether every leaf was derived from its bytes again; otherwise the stored hashes were believed. */
  readonly derived: boolean
  /** Where the keys come from that the notes were checked with. */
  readonly keysFrom: 'given' | 'database'
  readonly logs: readonly AuditedLog[]
  /** Origins of logs with leaves that no note speaks for. */
  readonly withoutNotes: readonly string[]
  readonly findings: readonly AuditFinding[]
}
