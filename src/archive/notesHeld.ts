/** Signed notes that were kept outside the database: what each says of which log. */
import { openCheckpoint } from '../domain/evidence/checkpointNote.ts'
import type { VerifierKey } from '../domain/evidence/noteKeys.ts'
import type { Hash } from '../domain/model.ts'
import { ServiceError } from '../errors.ts'

export interface HeldNote {
  /** For people: where it lies. */
  readonly name: string
  readonly text: string
  /** It lies in an archive, and not elsewhere. */
  readonly isArchived?: boolean
}

export interface HeldRoot {
  readonly name: string
  /** As it is. */
  readonly text: string
  /** Known keys that signed it; at least one. */
  readonly signedBy: readonly VerifierKey[]
  readonly size: bigint
  readonly root: Hash
  readonly isArchived: boolean
}

/** Lets signals and timers in. */
const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve))

/** Checked without a break, some milliseconds long: a signal can come in between. */
const NOTES_PER_TURN = 100

/**
 * By origin, by size. Two notes of one size are one, when they say the same. Throws NOTE_REFUSED for a note that no known
 * key has signed, and for two that contradict each other.
 */
export async function readHeldNotes(
  notes: readonly HeldNote[],
  keys: readonly VerifierKey[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, readonly HeldRoot[]>> {
  const byOrigin = new Map<string, Map<bigint, HeldRoot>>()
  for (const [index, { name, text, isArchived = false }] of notes.entries()) {
    if (index % NOTES_PER_TURN === 0) await turn()
    signal.throwIfAborted()
    const opened = openCheckpoint(text, { keys })
    if (!opened.ok) throw new ServiceError('NOTE_REFUSED', `${name}: ${opened.detail}`)
    const { origin, size, root, signedBy } = opened.value
    const known = byOrigin.get(origin) ?? new Map<bigint, HeldRoot>()
    byOrigin.set(origin, known)
    const other = known.get(size)
    if (other !== undefined && other.root !== root)
      throw new ServiceError(
        'NOTE_REFUSED',
        `${name} and ${other.name} say two things of ${origin} at ${size} leaves`,
      )
    if (other === undefined || !isArchived) known.set(size, { name, text, signedBy, size, root, isArchived })
  }
  const sorted = [...byOrigin].map(
    ([origin, roots]) => [origin, [...roots.values()].sort((a, b) => (a.size < b.size ? -1 : 1))] as const,
  )
  return new Map(sorted)
}
