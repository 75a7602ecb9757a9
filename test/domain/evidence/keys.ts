/** Keys that tests sign with, and a shorter way to what was found. */
import type { Finding } from '../../../src/domain/evidence/finding.ts'
import { formatSigningKey, parseSigningKey, type SigningKey } from '../../../src/domain/evidence/noteKeys.ts'

/** Always the same key for a number. */
export const testKey = (name: string, number: number): SigningKey =>
  taken(parseSigningKey(formatSigningKey(name, Buffer.alloc(32, number))))

export function taken<Value>(found: Finding<Value>): Value {
  if (!found.ok) throw new Error(`${found.fault}: ${found.detail}`)
  return found.value
}
