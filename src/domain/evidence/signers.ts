/** Which of the keys that a process holds sign now. A key that is new begins its period; none ends the others' past. */
import { type KeyPeriod, keysSigningAt, rotateKey } from './keyPeriods.ts'
import type { VerifierKey } from './noteKeys.ts'

export interface SignerInput {
  /** All periods of the installation. */
  readonly periods: readonly KeyPeriod[]
  /** What the process can sign with, the older key first; none for an installation that does not sign. */
  readonly held: readonly VerifierKey[]
  /** ms since the epoch. */
  readonly nowMs: number
  /** Of the newest signed checkpoint, where it is known. */
  readonly lastSignedMs?: number
  /** For how long a key that is followed by a new one goes on signing. */
  readonly overlapMs: number
}

export type SignerChoice =
  | {
      readonly ok: true
      /** The same array when nothing begins now. */
      readonly periods: readonly KeyPeriod[]
      /** Of the held ones; none only for an installation that never signed. */
      readonly signing: readonly VerifierKey[]
      /** The instant of the signatures: now, or when the newest key began, should the clock have gone back. */
      readonly atMs: number
    }
  /** MISSING: another process, or this one with another key, can sign. REFUSED: this key is not for this installation. */
  | { readonly ok: false; readonly fault: 'MISSING' | 'REFUSED'; readonly detail: string }

/**
 * A new key begins now, and behind all that was signed: a period ends before its last millisecond is over, so a key that signed
 * in this very one, or by a clock that was put back since, would not be known to have signed at that time. The one before it
 * goes on for `overlapMs` when the process holds that too. Each that the process does not hold ends at once, also one whose end
 * an earlier rotation set: whoever takes a key away does not want it to sign. Once an installation has signed, it never stores
 * without a signature again.
 */
export function chooseSigners(input: SignerInput): SignerChoice {
  const { periods, held, nowMs, overlapMs } = input
  let next = periods
  for (const key of held) {
    const first = next[0]?.key
    if (first !== undefined && first.name !== key.name)
      return refused(
        `the keys of this installation are called ${first.name}, not ${key.name}: origins never change`,
      )
    if (next.some((period) => isSame(period.key, key))) continue
    const fromMs = startBehind(next, input)
    const kept = next.map((period) => (holds(held, period.key) ? period : endedBy(period, fromMs)))
    const rotated = rotateKey(kept, { key, fromMs, overlapMs })
    if (!rotated.ok) return refused(`${mark(key)} cannot begin to sign: ${rotated.detail}`)
    next = rotated.periods
  }
  const atMs = Math.max(nowMs, ...next.map((period) => period.fromMs))
  const due = keysSigningAt(next, atMs).map((period) => period.key)
  const signing = due.filter((key) => holds(held, key))
  if (signing.length === 0 && next.length > 0)
    return {
      ok: false,
      fault: 'MISSING',
      detail: `signs now: ${due.map(mark).join(', ')}; this process holds ${held.map(mark).join(', ') || 'no key'}`,
    }
  return { ok: true, periods: next, signing, atMs }
}

/** Behind every other beginning, and behind what was signed. */
const startBehind = (
  periods: readonly KeyPeriod[],
  { nowMs, lastSignedMs = Number.NEGATIVE_INFINITY }: SignerInput,
): number => Math.max(nowMs, lastSignedMs + 1, ...periods.map((period) => period.fromMs + 1))

const endedBy = (period: KeyPeriod, atMs: number): KeyPeriod => ({
  ...period,
  untilMs: Math.min(period.untilMs ?? atMs, atMs),
})

const holds = (held: readonly VerifierKey[], key: VerifierKey): boolean =>
  held.some((each) => isSame(each, key))

const isSame = (one: VerifierKey, other: VerifierKey): boolean => one.text === other.text

const mark = ({ name, keyId }: VerifierKey): string => `${name}+${keyId}`

const refused = (detail: string): SignerChoice => ({ ok: false, fault: 'REFUSED', detail })
