import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { offset } from '../../src/domain/model.ts'
import { judgePosition } from '../../src/ingest/position.ts'

const identity = { topic: 'events', partition: 0, topicId: 'a' }
const at = (start: bigint, end: bigint, epochEnd: bigint | null = null, topicId = 'a') => ({
  topicId,
  committed: null,
  epochEnd: epochEnd === null ? null : offset(epochEnd),
  start: offset(start),
  end: offset(end),
})

describe('judgePosition', () => {
  it('goes on when Kafka has the next offset', () => {
    expect(judgePosition(identity, offset(5n), at(0n, 9n))).toEqual({ kind: 'continue' })
    expect(judgePosition(identity, offset(9n), at(0n, 9n))).toEqual({ kind: 'continue' })
  })

  it('names a gap when the log start has overtaken the log', () => {
    expect(judgePosition(identity, offset(5n), at(7n, 9n))).toEqual({ kind: 'gap', to: 7n })
    expect(judgePosition(identity, offset(5n), at(9n, 9n))).toEqual({ kind: 'gap', to: 9n })
  })

  it('lets nothing go on where the group was further and Kafka no longer has what lies between', () => {
    const beside = (committed: bigint, start: bigint) => ({ ...at(start, 20n), committed: offset(committed) })
    expect(judgePosition(identity, offset(5n), beside(9n, 7n))).toEqual({
      kind: 'lost',
      committed: 9n,
      start: 7n,
    })
    expect(judgePosition(identity, offset(5n), beside(9n, 5n))).toEqual({ kind: 'continue' })
    expect(judgePosition(identity, offset(5n), beside(5n, 7n))).toEqual({ kind: 'gap', to: 7n })
  })

  it('another topic id wins over everything, even when the offsets would fit', () => {
    expect(judgePosition(identity, offset(5n), at(0n, 9n, null, 'b'))).toEqual({
      kind: 'recreated',
      topicId: 'b',
    })
  })

  it('finds truncation by the epoch and by the end', () => {
    expect(judgePosition(identity, offset(5n), at(0n, 9n, 4n))).toEqual({ kind: 'truncated', end: 4n })
    expect(judgePosition(identity, offset(5n), at(0n, 4n))).toEqual({ kind: 'truncated', end: 4n })
  })

  it('never goes on over offsets that Kafka does not have', () => {
    fc.assert(
      fc.property(fc.bigInt(0n, 50n), fc.bigInt(0n, 50n), fc.bigInt(0n, 50n), (next, start, length) => {
        const end = start + length
        const verdict = judgePosition(identity, offset(next), at(start, end))
        expect(verdict.kind === 'continue').toBe(start <= next && next <= end)
      }),
    )
  })
})
