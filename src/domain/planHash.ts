/** Not for workflows: needs node:crypto. */
import { canonicalize } from './canonicalJson.ts'
import { hashToHex, sha256 } from './hash.ts'
import type { ReplayPlan } from './replay.ts'

/**
 * SHA-256 (64 hex digits) of the canonical JSON of a plan without its own hash, bigints as decimal strings: what the
 * cursor's metadata carries, so that a cursor is never taken for another plan's.
 */
export function planHash(plan: Omit<ReplayPlan, 'planHash'>): string {
  const { planHash: _ignored, ...rest } = plan as ReplayPlan
  const plain: unknown = JSON.parse(
    JSON.stringify(rest, (_name, value: unknown) => (typeof value === 'bigint' ? value.toString() : value)),
  )
  return hashToHex(sha256(canonicalize(plain)))
}
