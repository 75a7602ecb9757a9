/**
 * Which key signs when. Every public key is kept for ever with its period; in an overlap two keys sign, so that whoever
 * knows only the old one or only the new one can check the checkpoints of that time.
 */
import type { VerifierKey } from './noteKeys.ts'

/** A key signs from `fromMs` and before `untilMs` (ms since the epoch); null while no end is set. */
export interface KeyPeriod {
  readonly key: VerifierKey
  readonly fromMs: number
  readonly untilMs: number | null
}

/** Keys that sign at once at most: the one that goes and the one that comes. */
const MAX_AT_ONCE = 2

/** The keys that sign at an instant, the older first: one, or two in an overlap, or none before the first. */
export const keysSigningAt = (periods: readonly KeyPeriod[], atMs: number): readonly KeyPeriod[] =>
  byStart(periods).filter((period) => period.fromMs <= atMs && atMs < endOf(period))

const endOf = ({ untilMs }: KeyPeriod): number => untilMs ?? Number.POSITIVE_INFINITY

const byStart = (periods: readonly KeyPeriod[]): KeyPeriod[] =>
  [...periods].sort((one, other) => one.fromMs - other.fromMs)

/**
 * What is wrong with the periods of an installation, in one line; null when from the first one on there is always a
 * key that signs, never more than two, none twice, and one without an end.
 */
export function findPeriodFlaw(periods: readonly KeyPeriod[]): string | null {
  const sorted = byStart(periods)
  const known = new Set<string>()
  let coveredUntilMs = sorted[0]?.fromMs ?? Number.NEGATIVE_INFINITY
  for (const period of sorted) {
    const { name, keyId } = period.key
    if (known.has(`${name}+${keyId}`)) return `the key ${name}+${keyId} has two periods`
    known.add(`${name}+${keyId}`)
    if (!(period.fromMs < endOf(period))) return `the period of ${name}+${keyId} ends before it begins`
    if (period.fromMs > coveredUntilMs) return `no key signs before ${name}+${keyId} begins to`
    if (keysSigningAt(periods, period.fromMs).length > MAX_AT_ONCE)
      return `more than ${MAX_AT_ONCE} keys sign when ${name}+${keyId} begins to`
    coveredUntilMs = Math.max(coveredUntilMs, endOf(period))
  }
  return sorted.length > 0 && coveredUntilMs !== Number.POSITIVE_INFINITY
    ? 'no key signs from some time on'
    : null
}

/** Whether two states of an installation's keys are the same, in whatever order. */
export function arePeriodsEqual(one: readonly KeyPeriod[], other: readonly KeyPeriod[]): boolean {
  const [left, right] = [byStart(one), byStart(other)]
  return left.length === right.length && left.every((period, index) => isSamePeriod(period, right[index]))
}

export const isSamePeriod = (one: KeyPeriod, other: KeyPeriod | undefined): boolean =>
  one.key.text === other?.key.text && one.fromMs === other.fromMs && one.untilMs === other.untilMs

export interface Rotation {
  readonly key: VerifierKey
  /** When the new key begins to sign. */
  readonly fromMs: number
  /** For how long the old one signs too; 0 for not at all, as after a theft. */
  readonly overlapMs: number
}

export type Rotated =
  | { readonly ok: true; readonly periods: readonly KeyPeriod[] }
  | { readonly ok: false; readonly detail: string }

/** The periods after a rotation: those that had no end get one, and the new key has none. The first key begins alone. */
export function rotateKey(periods: readonly KeyPeriod[], { key, fromMs, overlapMs }: Rotation): Rotated {
  if (!(overlapMs >= 0)) return { ok: false, detail: 'an overlap does not end before it begins' }
  if (periods.some((period) => period.fromMs >= fromMs))
    return { ok: false, detail: 'a new key begins after all the others did' }
  const ended = periods.map((period) =>
    period.untilMs === null ? { ...period, untilMs: fromMs + overlapMs } : period,
  )
  const rotated = [...byStart(ended), { key, fromMs, untilMs: null }]
  const flaw = findPeriodFlaw(rotated)
  return flaw === null ? { ok: true, periods: rotated } : { ok: false, detail: flaw }
}

/** The verifier keys, one a line, the oldest first: what `parseKeyList` reads. */
export const formatKeyList = (periods: readonly KeyPeriod[]): string =>
  byStart(periods)
    .map((period) => `${period.key.text}\n`)
    .join('')
