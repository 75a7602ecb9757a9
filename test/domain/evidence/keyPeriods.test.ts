import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  findPeriodFlaw,
  formatKeyList,
  type KeyPeriod,
  keysSigningAt,
  rotateKey,
} from '../../../src/domain/evidence/keyPeriods.ts'
import { parseKeyList, type VerifierKey } from '../../../src/domain/evidence/noteKeys.ts'
import { taken, testKey } from './keys.ts'

const keys = Array.from({ length: 9 }, (_, index) => testKey('example.com/ingest', index + 1).verifierKey)
const [a, b, c] = keys as [VerifierKey, VerifierKey, VerifierKey]
const period = (key: VerifierKey, fromMs: number, untilMs: number | null): KeyPeriod => ({
  key,
  fromMs,
  untilMs,
})
const signing = (periods: readonly KeyPeriod[], atMs: number) =>
  keysSigningAt(periods, atMs).map((each) => each.key)

function rotated(periods: readonly KeyPeriod[], key: VerifierKey, fromMs: number, overlapMs: number) {
  const result = rotateKey(periods, { key, fromMs, overlapMs })
  if (!result.ok) throw new Error(result.detail)
  return result.periods
}

describe('key rotation', () => {
  it('lets both keys sign during the overlap, and each alone outside', () => {
    const first = rotated([], a, 100, 0)
    const periods = rotated(first, b, 200, 50)
    expect(periods).toEqual([period(a, 100, 250), period(b, 200, null)])
    expect([99, 100, 199, 200, 249, 250, 9_999].map((atMs) => signing(periods, atMs))).toEqual([
      [],
      [a],
      [a],
      [a, b],
      [a, b],
      [b],
      [b],
    ])
  })

  it('replaces a key at once when there is no overlap', () => {
    const periods = rotated(rotated([], a, 100, 0), b, 200, 0)
    expect(signing(periods, 199)).toEqual([a])
    expect(signing(periods, 200)).toEqual([b])
  })

  it('refuses what would leave no key, a third one, the same one, or change the past', () => {
    const periods = rotated(rotated([], a, 100, 0), b, 200, 50)
    const detailOf = (key: VerifierKey, fromMs: number, overlapMs: number) =>
      rotateKey(periods, { key, fromMs, overlapMs })
    expect(detailOf(c, 240, 10)).toMatchObject({ ok: false, detail: expect.stringContaining('more than 2') })
    expect(detailOf(a, 300, 10)).toMatchObject({ ok: false, detail: expect.stringContaining('two periods') })
    expect(detailOf(c, 200, 10)).toMatchObject({ ok: false, detail: expect.stringContaining('after all') })
    expect(detailOf(c, 300, -1)).toMatchObject({ ok: false })
    expect(detailOf(c, 300, Number.NaN)).toMatchObject({ ok: false })
    expect(detailOf(c, 250, 10).ok).toBe(true)
  })

  it('always leaves one or two keys that sign, and every key that ever did', () => {
    const step = fc.record({ afterMs: fc.integer({ min: 1, max: 100 }), overlapMs: fc.nat(150) })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 8 }), (steps) => {
        let periods = rotated([], a, 0, 0)
        let nowMs = 0
        for (const [index, { afterMs, overlapMs }] of steps.entries()) {
          nowMs += afterMs
          const next = rotateKey(periods, { key: keys[index + 1] as VerifierKey, fromMs: nowMs, overlapMs })
          if (!next.ok) continue
          expect(next.periods.map((each) => each.key)).toEqual([
            ...periods.map((each) => each.key),
            keys[index + 1],
          ])
          periods = next.periods
        }
        for (let atMs = 0; atMs < nowMs + 200; atMs += 5)
          expect([1, 2]).toContain(keysSigningAt(periods, atMs).length)
        expect(findPeriodFlaw(periods)).toBe(null)
      }),
    )
  })

  it('finds what is wrong with stored periods', () => {
    const flaws: [string, readonly KeyPeriod[]][] = [
      ['no key signs before', [period(a, 0, 10), period(b, 11, null)]],
      ['from some time on', [period(a, 0, 10)]],
      ['ends before it begins', [period(a, 10, 10), period(b, 10, null)]],
      ['two periods', [period(a, 0, 10), period(a, 10, null)]],
      ['more than 2', [period(a, 0, 10), period(b, 1, null), period(c, 2, null)]],
    ]
    for (const [flaw, periods] of flaws) expect(findPeriodFlaw([...periods].reverse())).toContain(flaw)
    expect(findPeriodFlaw([])).toBe(null)
  })

  it('lists every key, the oldest first', () => {
    const periods = rotated(rotated([], a, 100, 0), b, 200, 50)
    const list = formatKeyList([...periods].reverse())
    expect(list).toBe(`${a.text}\n${b.text}\n`)
    expect(taken(parseKeyList(list)).map((key) => key.keyId)).toEqual([a.keyId, b.keyId])
  })
})
