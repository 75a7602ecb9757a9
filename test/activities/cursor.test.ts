import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type CursorOwner, decodeCursor, encodeCursor } from '../../activities/cursor.ts'
import { sha256 } from '../../src/domain/hash.ts'
import { MAX_TREE_SIZE, setBits } from '../../src/domain/merkle.ts'
import { offset } from '../../src/domain/model.ts'

const owner: CursorOwner = {
  planHash: 'a'.repeat(64),
  partition: 3,
  from: offset(10n),
  to: offset(2n ** 62n),
}
const frontierOf = (events: bigint) =>
  Array.from({ length: setBits(events) }, (_, index) => sha256(`${events}-${index}`))

describe('the cursor', () => {
  it('comes back as it was', () => {
    const positions = fc.record({
      offset: fc.bigInt({ min: 10n, max: 2n ** 62n }).map(offset),
      events: fc.bigInt({ min: 0n, max: MAX_TREE_SIZE }),
      sealed: fc.boolean(),
    })
    fc.assert(
      fc.property(positions, (given) => {
        const position = { ...given, frontier: frontierOf(given.events) }
        expect(decodeCursor(encodeCursor(position, owner.planHash), owner)).toEqual(position)
      }),
    )
  })

  it('stays within what Kafka takes, however much was produced', () => {
    const events = MAX_TREE_SIZE
    const position = { offset: owner.to, events, frontier: frontierOf(events), sealed: false }
    expect(encodeCursor(position, owner.planHash).metadata.length).toBeLessThan(4_096)
  })

  const position = { offset: offset(20n), events: 3n, frontier: frontierOf(3n), sealed: false }
  const good = encodeCursor(position, owner.planHash)
  const change = (fields: object) => JSON.stringify({ ...JSON.parse(good.metadata), ...fields })
  it.each([
    ['no metadata', ''],
    ['no JSON', 'x'],
    ['no object', 'null'],
    ['another version', change({ v: 2 })],
    ['another plan', change({ plan: 'b'.repeat(64) })],
    ['a count that is none', change({ events: '-1' })],
    ['a count that does not fit the frontier', change({ events: '4' })],
    ['a frontier that is none', change({ frontier: 'AAAA' })],
    ['no seal', change({ sealed: undefined })],
  ])('is lost with %s', (_, metadata) => {
    expect(() => decodeCursor({ ...good, metadata }, owner)).toThrow(/the cursor of partition 3/)
  })

  it('is lost outside of its range', () => {
    for (const wrong of [9n, 2n ** 62n + 1n])
      expect(() => decodeCursor({ ...good, offset: offset(wrong) }, owner)).toThrow(/outside of its range/)
  })
})
