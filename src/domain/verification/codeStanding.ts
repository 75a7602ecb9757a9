/** What a dead letter's bytes say of its code, which no leaf covers. */
import { type DeadLetterCode, type Decoded, deadLetterCodes } from '../model.ts'

/** `unproven`: nothing in the bytes speaks against it, and nothing for it. */
export type CodeStanding = 'proven' | 'unproven' | 'contradicted'

/** Codes that follow from the bytes and from nothing else. */
export const provenCodes: ReadonlySet<string> = new Set<DeadLetterCode>([
  'INVALID_UTF8',
  'INVALID_JSON',
  'TOO_DEEP',
  'SCHEMA',
  'HASH_MISMATCH',
  'TOMBSTONE',
  'REPLAYED',
])

export const BATCH: DeadLetterCode = 'UNDECODABLE_BATCH'

/** They follow from the bytes and from earlier events of the log. */
const repeating: ReadonlySet<string> = new Set<DeadLetterCode>(['DUPLICATE_ID', 'ID_CONFLICT'])

/** What depends on settings, on keys or on the database of its time. */
export const unprovenCodes: ReadonlySet<string> = new Set<DeadLetterCode>(
  deadLetterCodes.filter((code) => !provenCodes.has(code) && code !== BATCH && !repeating.has(code)),
)

/** Of one record, by the verdict over its bytes alone. */
export function standingOfCode(code: string, decoded: Decoded): CodeStanding {
  if (provenCodes.has(code))
    return decoded.kind === 'rejected' && decoded.code === code ? 'proven' : 'contradicted'
  // It comes before all that looks at the bytes, but not before these two.
  if (code === 'TOO_LARGE')
    return decoded.kind === 'rejected' && (decoded.code === 'TOMBSTONE' || decoded.code === 'REPLAYED')
      ? 'contradicted'
      : 'unproven'
  // It was an event but for what the bytes do not tell; another text was never a code.
  return decoded.kind === 'event' && (unprovenCodes.has(code) || repeating.has(code))
    ? 'unproven'
    : 'contradicted'
}
