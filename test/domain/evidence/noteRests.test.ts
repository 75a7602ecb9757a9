import { describe, expect, it } from 'vitest'
import {
  againInMs,
  isResting,
  type LookResult,
  logRests,
  MAX_LOG_RESTS,
  NO_RESTS,
  type PlaceRests,
  restingCount,
  restsAfter,
} from '../../../src/domain/evidence/noteRests.ts'

const NOW = 1_000_000
const look = (change: Partial<LookResult>): LookResult => ({
  ...{ nowMs: NOW, placed: 0, failed: new Map(), kept: () => true },
  ...{ away: false, untried: false, flawed: null },
  ...change,
})
const failed = (...ids: number[]) => new Map(ids.map((id) => [id, { ofLog: true }]))
const rest = (logId: number, tries = 1, untilMs = NOW + 500) => ({ logId, tries, untilMs, ofPlace: false })
const withLogs = (...logs: PlaceRests['logs']): PlaceRests => ({ ...NO_RESTS, logs })

describe('what rests after a look', () => {
  it('is nothing when all is well', () => {
    expect(restsAfter(NO_RESTS, look({ placed: 3 }))).toBe(null)
    expect(restsAfter(withLogs(rest(1)), look({ placed: 1, kept: () => false }))).toBe(null)
  })

  it('grows with each failure of a log, to a minute', () => {
    let rests = NO_RESTS
    const pauses: number[] = []
    for (let round = 0; round < 8; round++) {
      rests = restsAfter(rests, look({ failed: failed(7) })) ?? NO_RESTS
      pauses.push((rests.logs[0]?.untilMs ?? 0) - NOW)
    }
    expect(pauses).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000])
    expect(rests.logs).toHaveLength(1)
  })

  it('is of the place only where the place took nothing', () => {
    const of = (placed: number, ofLog: boolean) =>
      restsAfter(NO_RESTS, look({ placed, failed: new Map([[1, { ofLog }]]) }))?.logs[0]?.ofPlace
    expect([of(0, false), of(1, false), of(0, true)]).toEqual([true, false, false])
  })

  it('a place that is away rests as a whole, until it takes something', () => {
    const away = restsAfter(NO_RESTS, look({ away: true, failed: failed(1, 2, 3) }))
    expect(away?.place).toEqual({ tries: 1, untilMs: NOW + 1_000 })
    const again = restsAfter(away ?? NO_RESTS, look({ away: true, failed: failed(4, 5, 6) }))
    expect(again?.place).toEqual({ tries: 2, untilMs: NOW + 2_000 })
    expect(again?.logs).toHaveLength(6)
    expect(restsAfter(again ?? NO_RESTS, look({ placed: 1 }))?.place).toBe(null)
  })

  it('grows for each log also where more are refused than have a pause of their own, and stays small', () => {
    const all = [...Array(MAX_LOG_RESTS + 3_000).keys()]
    let rests = NO_RESTS
    const pauses: (readonly number[])[] = []
    for (let round = 0; round < 8; round++) {
      rests = restsAfter(rests, look({ failed: failed(...all) })) ?? NO_RESTS
      const resting = logRests(rests)
      expect(resting.map(({ logId }) => logId)).toEqual(all)
      pauses.push([0, -1].map((at) => (resting.at(at)?.untilMs ?? 0) - NOW))
      expect(againInMs(rests, NOW, 10)).toBe(pauses.at(-1)?.[0])
    }
    expect(pauses).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000].map((ms) => [ms, ms]))
    expect([rests.logs.length, restingCount(rests)]).toEqual([MAX_LOG_RESTS, all.length])
    expect(JSON.stringify(rests.groups).length).toBeLessThan(2_000)
  })

  it('a log of a group that is taken leaves it, and those that were not tried go on resting', () => {
    const all = [...Array(MAX_LOG_RESTS + 10).keys()]
    const before = restsAfter(NO_RESTS, look({ failed: failed(...all) })) ?? NO_RESTS
    const [taken, again] = [MAX_LOG_RESTS + 3, MAX_LOG_RESTS + 4]
    const after =
      restsAfter(before, look({ placed: 1, failed: failed(again), kept: ({ logId }) => logId !== taken })) ??
      NO_RESTS
    expect(logRests(after).map(({ logId }) => logId)).toEqual(all.filter((id) => id !== taken))
    expect(after.groups).toMatchObject([{ tries: 2, untilMs: NOW + 2_000, ofPlace: false, count: 9 }])
  })

  it('those of a group that the place alone is to blame for are tried again with the first note that it takes', () => {
    const many = (ofLog: boolean) =>
      new Map([...Array(MAX_LOG_RESTS + 10).keys()].map((id) => [id, { ofLog: ofLog || id % 2 === 0 }]))
    expect(restsAfter(NO_RESTS, look({ failed: many(false) }))?.groups).toMatchObject([
      { ofPlace: false, count: 5 },
      { ofPlace: true, count: 5 },
    ])
    expect(restsAfter(NO_RESTS, look({ failed: many(true) }))?.groups).toHaveLength(1)
  })
})

describe('when to look again', () => {
  it('is when the first log is due, and not before a place that is away', () => {
    expect(againInMs(withLogs(rest(1, 3, NOW + 4_000), rest(2, 2, NOW + 2_000)), NOW, 10)).toBe(2_000)
    const place = { tries: 4, untilMs: NOW + 8_000 }
    expect(againInMs({ ...withLogs(rest(1)), place }, NOW, 10)).toBe(8_000)
    expect(againInMs({ ...NO_RESTS, flawed: { tries: 2, untilMs: NOW + 2_000 } }, NOW, 10)).toBe(2_000)
  })

  it('never at once, and never sooner than the last look took while some are untried', () => {
    expect(againInMs(withLogs(rest(1, 1, NOW - 5)), NOW, 10)).toBeGreaterThan(0)
    const place = { tries: 9, untilMs: NOW + 60_000 }
    const rests = { ...withLogs(rest(1)), place, untried: true }
    expect([againInMs(rests, NOW, 10), againInMs(rests, NOW, 15_000)]).toEqual([1_000, 15_000])
  })

  it('another worker that has another clock makes nobody wait longer', () => {
    expect(isResting(rest(1, 1, NOW + 60_000), NOW)).toBe(true)
    expect(isResting(rest(1, 1, NOW + 3_600_000), NOW)).toBe(false)
  })
})
