import { describe, expect, it } from 'vitest'
import { median, RateMeter } from '../../bench/run/rate.ts'

const samples = (...pairs: readonly (readonly [atMs: number, count: number])[]) =>
  pairs.map(([atMs, count]) => ({ atMs, count }))

describe('a rate', () => {
  it('counts from the first growth to the last, not the wait before and after', () => {
    const meter = new RateMeter()
    for (const sample of samples(
      [0, 0],
      [900, 0],
      [1_000, 100],
      [1_500, 600],
      [2_000, 1_100],
      [9_000, 1_100],
    ))
      meter.add(sample)
    expect(meter.perSecond()).toBe(1_000)
  })

  it('leaves an outage out', () => {
    const meter = new RateMeter()
    for (const sample of samples([1_000, 100], [2_000, 1_100])) meter.add(sample)
    meter.interrupt()
    for (const sample of samples([12_000, 1_500], [13_000, 2_500])) meter.add(sample)
    expect(meter.perSecond()).toBe(1_000)
  })

  it('is 0 when nothing was seen to grow', () => {
    const meter = new RateMeter()
    expect(meter.perSecond()).toBe(0)
    meter.add({ atMs: 5, count: 100 })
    expect(meter.perSecond()).toBe(0)
  })

  it('is of the time between two samples when all came between them', () => {
    const meter = new RateMeter()
    for (const sample of samples([0, 0], [900, 0], [1_000, 100], [1_100, 100])) meter.add(sample)
    expect(meter.perSecond()).toBe(1_000)
  })
})

describe('the median', () => {
  it.each([
    [[3, 1, 2], 2],
    [[4, 1, 2, 3], 2.5],
    [[7], 7],
  ])('of %j is %d', (values, expected) => {
    expect(median(values)).toBe(expected)
  })

  it('of nothing is not a number', () => {
    expect(median([])).toBeNaN()
  })
})
