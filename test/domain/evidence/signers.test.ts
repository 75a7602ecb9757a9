import { describe, expect, it } from 'vitest'
import { findPeriodFlaw, type KeyPeriod, keysSigningAt } from '../../../src/domain/evidence/keyPeriods.ts'
import type { VerifierKey } from '../../../src/domain/evidence/noteKeys.ts'
import { chooseSigners } from '../../../src/domain/evidence/signers.ts'
import { testKey } from './keys.ts'

const [a, b, c] = [1, 2, 3].map((number) => testKey('example.com/ingest', number).verifierKey) as [
  VerifierKey,
  VerifierKey,
  VerifierKey,
]
const OVERLAP = 100

function chosen(periods: readonly KeyPeriod[], held: readonly VerifierKey[], nowMs: number) {
  const choice = chooseSigners({ periods, held, nowMs, overlapMs: OVERLAP })
  if (!choice.ok) throw new Error(choice.detail)
  expect(findPeriodFlaw(choice.periods)).toBe(null)
  return choice
}

const refusal = (periods: readonly KeyPeriod[], held: readonly VerifierKey[], nowMs: number) => {
  const choice = chooseSigners({ periods, held, nowMs, overlapMs: OVERLAP })
  return choice.ok ? null : choice.fault
}

describe('the keys that sign', () => {
  it('are none where nobody ever signed', () => {
    expect(chosen([], [], 5)).toEqual({ ok: true, periods: [], signing: [], atMs: 5 })
  })

  it('begin with the first key that is seen, and change nothing while it is the same', () => {
    const { periods, signing } = chosen([], [a], 1_000)
    expect(periods).toEqual([{ key: a, fromMs: 1_000, untilMs: null }])
    expect(signing).toEqual([a])
    const later = chosen(periods, [a], 2_000)
    expect(later.periods).toBe(periods)
    expect(later).toMatchObject({ signing: [a], atMs: 2_000 })
  })

  it('are both during the overlap, for who holds both, and the new one alone after it', () => {
    const first = chosen([], [a], 1_000).periods
    const { periods, signing } = chosen(first, [a, b], 2_000)
    expect(periods).toEqual([
      { key: a, fromMs: 1_000, untilMs: 2_000 + OVERLAP },
      { key: b, fromMs: 2_000, untilMs: null },
    ])
    expect(signing).toEqual([a, b])
    expect(chosen(periods, [a], 2_050).signing).toEqual([a])
    expect(chosen(periods, [b], 2_050).signing).toEqual([b])
    expect(chosen(periods, [a, b], 2_000 + OVERLAP).signing).toEqual([b])
  })

  it('change at once when the key before is not there any more', () => {
    const first = chosen([], [a], 1_000).periods
    const { periods, signing } = chosen(first, [b], 2_000)
    expect(periods[0]).toEqual({ key: a, fromMs: 1_000, untilMs: 2_000 })
    expect(signing).toEqual([b])
  })

  it('end at once in an overlap too, all that are not there any more', () => {
    const overlapping = chosen(chosen([], [a], 1_000).periods, [a, b], 2_000).periods
    const stolen = chosen(overlapping, [c], 2_050)
    expect(stolen.periods).toEqual([
      { key: a, fromMs: 1_000, untilMs: 2_050 },
      { key: b, fromMs: 2_000, untilMs: 2_050 },
      { key: c, fromMs: 2_050, untilMs: null },
    ])
    expect(stolen.signing).toEqual([c])
    for (const held of [a, b]) expect(refusal(stolen.periods, [held], 2_060)).toBe('MISSING')
    const followed = chosen(overlapping, [b, c], 2_050)
    expect(followed.periods).toEqual([
      { key: a, fromMs: 1_000, untilMs: 2_050 },
      { key: b, fromMs: 2_000, untilMs: 2_050 + OVERLAP },
      { key: c, fromMs: 2_050, untilMs: null },
    ])
    expect(followed.signing).toEqual([b, c])
    const long = chosen(overlapping, [c], 9_000).periods
    expect(long[0]).toEqual({ key: a, fromMs: 1_000, untilMs: 2_000 + OVERLAP })
  })

  it('are two from the start when two are there at the start', () => {
    const { periods, signing, atMs } = chosen([], [a, b], 1_000)
    expect(signing).toEqual([a, b])
    expect(periods.map(({ fromMs, untilMs }) => [fromMs, untilMs])).toEqual([
      [1_000, 1_001 + OVERLAP],
      [1_001, null],
    ])
    expect(atMs).toBe(1_001)
  })

  it('sign at an instant that their period covers, even when the clock went back', () => {
    const { periods } = chosen([], [a], 1_000)
    expect(chosen(periods, [a], 10)).toMatchObject({ signing: [a], atMs: 1_000 })
  })

  it('never leave a signature outside of its period: the new one begins behind the last signature of the old one', () => {
    const first = chosen([], [a], 1_000).periods
    for (const lastSignedMs of [1_000, 2_000, 9_000]) {
      const choice = chooseSigners({ periods: first, held: [b], nowMs: 2_000, overlapMs: 0, lastSignedMs })
      if (!choice.ok) throw new Error(choice.detail)
      const fromMs = Math.max(2_000, lastSignedMs + 1)
      expect(choice).toMatchObject({ signing: [b], atMs: fromMs })
      expect(choice.periods.map((period) => [period.fromMs, period.untilMs])).toEqual([
        [1_000, fromMs],
        [fromMs, null],
      ])
      expect(keysSigningAt(choice.periods, lastSignedMs).map(({ key }) => key)).toEqual([a])
    }
  })

  it('are missing for who holds none, or one whose time is over', () => {
    const first = chosen([], [a], 1_000).periods
    expect(refusal(first, [], 2_000)).toBe('MISSING')
    const rotated = chosen(first, [b], 2_000).periods
    expect(refusal(rotated, [a], 3_000)).toBe('MISSING')
  })

  it('are refused under another name, and as a third one at once', () => {
    const first = chosen([], [a], 1_000).periods
    const renamed = testKey('example.com/other', 9).verifierKey
    expect(refusal(first, [renamed], 2_000)).toBe('REFUSED')
    const overlapping = chosen(first, [a, b], 2_000).periods
    expect(refusal(overlapping, [a, b, c], 2_010)).toBe('REFUSED')
  })
})
