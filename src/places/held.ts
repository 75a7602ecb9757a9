import { originOf, saysTheSame } from '../domain/evidence/notePlace.ts'
import type { Placement } from '../ports.ts'

/** What a note that is there already means: the same statement, whoever signed it, or another one. */
export function judgeHeld(note: string, held: string, what: string): Placement {
  if (held === note || saysTheSame(held, note)) return { outcome: 'held' }
  return { outcome: 'conflict', detail: `${what} is there already and says something else` }
}

/** The log that a stored note is about, or what to say of one that cannot be read. */
export const originOrConflict = (note: string): string | Placement =>
  originOf(note) ?? { outcome: 'conflict', detail: 'the note that the database holds cannot be read' }
