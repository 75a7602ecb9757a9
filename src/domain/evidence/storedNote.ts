/** Whether the signed note of a stored checkpoint says what is stored beside it. */
import type { Hash } from '../model.ts'
import { type OpenedCheckpoint, openCheckpoint } from './checkpointNote.ts'
import { type Finding, unverified } from './finding.ts'
import { type KeyPeriod, keysSigningAt } from './keyPeriods.ts'
import { formatOrigin, type LogName } from './origin.ts'

export interface StoredNote {
  readonly note: string
  /** The log that it is stored for. */
  readonly log: LogName
  readonly size: bigint
  readonly root: Hash
  /** When it was signed, ms since the epoch. */
  readonly signedAtMs: number
}

/** Opens the note with the keys that signed at that time, and compares it with what is stored beside it. */
export function openStoredNote(stored: StoredNote, periods: readonly KeyPeriod[]): Finding<OpenedCheckpoint> {
  const keys = keysSigningAt(periods, stored.signedAtMs).map((period) => period.key)
  const [first] = keys
  if (first === undefined) return unverified('no key is known that signed when it was made')
  const origin = formatOrigin({ instance: first.name, ...stored.log })
  const opened = openCheckpoint(stored.note, { keys, origin })
  if (!opened.ok) return outOfTime(stored.note, origin, periods) ?? opened
  const { size, root } = opened.value
  return size === stored.size && root === stored.root
    ? opened
    : unverified('its signed note says another size or root than its row')
}

/** Such as a stolen key that was ended: whoever is on call must know that somebody has it. Null when no key of the log signed. */
function outOfTime(note: string, origin: string, periods: readonly KeyPeriod[]): Finding<never> | null {
  const opened = openCheckpoint(note, { keys: periods.map((period) => period.key), origin })
  if (!opened.ok) return null
  const marks = opened.value.signedBy.map(({ name, keyId }) => `${name}+${keyId}`)
  return unverified(`no key of its time has signed it, only ${marks.join(', ')}, which did not sign then`)
}
