import { expect, it } from 'vitest'
import { Cycle } from '../../bench/faults/cycle.ts'
import { Random } from '../../bench/source/random.ts'

const draw = (seed: number, count: number): string => {
  const cycle = new Cycle(['a', 'b', 'c', 'd'], new Random(seed, 0))
  return Array.from({ length: count }, () => cycle.next()).join('')
}

it('brings every choice once before any comes again, in an order that the seed decides', () => {
  const orders = new Set<string>()
  for (let seed = 0; seed < 50; seed++) {
    const drawn = draw(seed, 8)
    for (const pass of [drawn.slice(0, 4), drawn.slice(4)]) expect([...pass].sort().join('')).toBe('abcd')
    expect(draw(seed, 8)).toBe(drawn)
    orders.add(drawn.slice(0, 4))
  }
  expect(orders.size).toBeGreaterThan(12)
})
