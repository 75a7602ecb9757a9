import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { hashFromBytes, hashToBytes, sha256 } from '../../src/domain/hash.ts'
import { appendLeaves, emptyFrontier, hashNode, rootOf } from '../../src/domain/merkle.ts'
import type { Hash, LeafIndex } from '../../src/domain/model.ts'
import { type NodeRange, rootFromParts, rootPlan } from '../../src/domain/pastRoot.ts'
import {
  consistencyProof,
  inclusionProof,
  type RangeRoot,
  verifyConsistency,
  verifyInclusion,
} from '../../src/domain/proofs.ts'
import {
  consistencyFromParts,
  consistencyPlan,
  inclusionFromParts,
  inclusionPlan,
  type ProofPlan,
} from '../../src/domain/storedProof.ts'
import { naiveRoot } from './naive-merkle.ts'

const LEAVES = 66_400
const leaves = Array.from({ length: LEAVES }, (_, index) => sha256(`leaf ${index}`))
const empty = { size: 0n as LeafIndex, frontier: emptyFrontier }
const stored = new Map(
  appendLeaves(empty, leaves).nodes.map(({ level, index, hash }) => [`${level}/${index}`, hash]),
)

/** What a store has: whoever asks for a node that no complete subtree stands for gets nothing. */
function fetchFor({ ranges }: ProofPlan): Hash[][] {
  return ranges.map(({ level, from, to }) => {
    const indexes = Array.from({ length: Number(to - from) }, (_, at) => from + BigInt(at))
    const hashes = indexes.map((index) =>
      level === 0 ? leaves[Number(index)] : stored.get(`${level}/${index}`),
    )
    return hashes.filter((hash) => hash !== undefined)
  })
}

/** Past roots have tests of their own (merkle.test.ts). */
function rootAt(size: bigint): Hash {
  const plan = rootPlan(size)
  const [first = [], ...rest] = fetchFor({ ranges: [{ level: 0, ...plan.leaves }, ...plan.nodes] })
  return rootFromParts(plan, { nodes: rest, leaves: first })
}

const naiveRange: RangeRoot = (from, to) =>
  hashFromBytes(naiveRoot(leaves.slice(Number(from), Number(to)).map(hashToBytes)))

/** Small trees, sizes around the borders of stored levels, and any. */
const sizes = fc.oneof(
  fc.integer({ min: 1, max: 600 }),
  fc.constantFrom(255, 256, 257, 511, 512, 65_279, 65_280, 65_535, 65_536, 65_537, 65_792, LEAVES),
  fc.integer({ min: 1, max: LEAVES }),
)
const share = fc.double({ min: 0, max: 1, noNaN: true })
const upTo = (size: number, part: number): bigint => BigInt(Math.min(size - 1, Math.floor(size * part)))

describe('proofs from stored nodes', () => {
  it('are those of the recursive definition', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 700 }), share, (count, part) => {
        const size = BigInt(count)
        const index = upTo(count, part)
        const parts = fetchFor(inclusionPlan(index, size))
        expect(inclusionFromParts(index, size, parts)).toEqual(inclusionProof(index, size, naiveRange))
        const oldSize = index + 1n
        const others = fetchFor(consistencyPlan(oldSize, size))
        expect(consistencyFromParts(oldSize, size, others)).toEqual(
          consistencyProof(oldSize, size, naiveRange),
        )
      }),
      { numRuns: 40 },
    )
  })

  it('show every leaf in every past tree, whatever was appended since', () => {
    fc.assert(
      fc.property(sizes, share, (count, part) => {
        const size = BigInt(count)
        const index = upTo(count, part)
        const plan = inclusionPlan(index, size)
        expectBounded(plan)
        const proof = inclusionFromParts(index, size, fetchFor(plan))
        const leaf = leaves[Number(index)] as Hash
        expect(verifyInclusion({ index, size, leaf, root: rootAt(size) }, proof)).toBe(true)
      }),
      { numRuns: 60 },
    )
  })

  it('show that every past tree begins with every smaller one', () => {
    fc.assert(
      fc.property(sizes, share, (count, part) => {
        const size = BigInt(count)
        const oldSize = upTo(count, part) + 1n
        const plan = consistencyPlan(oldSize, size)
        expectBounded(plan)
        const proof = consistencyFromParts(oldSize, size, fetchFor(plan))
        const claim = { oldSize, oldRoot: rootAt(oldSize), size, root: rootAt(size) }
        expect(verifyConsistency(claim, proof)).toBe(true)
      }),
      { numRuns: 60 },
    )
  })

  it('ask for few hashes, however large the tree', () => {
    for (const size of [10_000_000n, 2n ** 40n + 12_345_678n, 2n ** 63n - 1n])
      for (const index of [0n, size / 3n, size - 2n]) {
        expectBounded(inclusionPlan(index, size))
        expectBounded(consistencyPlan(index + 1n, size))
      }
  })

  it('work beyond the largest number that a double holds', () => {
    // A tree whose leaves are all the same: a node depends on its level only.
    const levels = [sha256('same')]
    for (let level = 1; level < 64; level++) {
      const below = levels[level - 1] as Hash
      levels.push(hashNode(below, below))
    }
    const same = ({ ranges }: ProofPlan): Hash[][] =>
      ranges.map(({ level, from, to }) => Array<Hash>(Number(to - from)).fill(levels[level] as Hash))
    const rootOfSame = (size: bigint): Hash => {
      const bits = [...size.toString(2)].map((bit, at, all) =>
        bit === '1' ? levels[all.length - 1 - at] : undefined,
      )
      return rootOf(
        bits.filter((hash) => hash !== undefined),
        size,
      )
    }
    const size = 2n ** 61n + 2n ** 40n + 77n
    const root = rootOfSame(size)
    for (const index of [0n, 2n ** 60n + 5n, size - 1n]) {
      const proof = inclusionFromParts(index, size, same(inclusionPlan(index, size)))
      expect(verifyInclusion({ index, size, leaf: levels[0] as Hash, root }, proof)).toBe(true)
    }
    const oldSize = 2n ** 59n + 3n
    const proof = consistencyFromParts(oldSize, size, same(consistencyPlan(oldSize, size)))
    expect(verifyConsistency({ oldSize, oldRoot: rootOfSame(oldSize), size, root }, proof)).toBe(true)
  })

  it('refuse parts that the plan did not ask for, and sizes that no proof has', () => {
    const parts = fetchFor(inclusionPlan(3n, 300n))
    expect(() => inclusionFromParts(3n, 300n, parts.slice(1))).toThrow(RangeError)
    expect(() =>
      inclusionFromParts(
        3n,
        300n,
        parts.map((hashes) => hashes.slice(1)),
      ),
    ).toThrow(RangeError)
    expect(() => inclusionPlan(300n, 300n)).toThrow(RangeError)
    expect(() => inclusionPlan(-1n, 300n)).toThrow(RangeError)
    expect(() => consistencyPlan(0n, 300n)).toThrow(RangeError)
    expect(() => consistencyPlan(301n, 300n)).toThrow(RangeError)
    expect(consistencyPlan(300n, 300n).ranges).toEqual([])
  })
})

/** Of each level at most 256 hashes around the path and 255 at the right edge; ranges in order and apart. */
function expectBounded({ ranges }: ProofPlan): void {
  const perLevel = new Map<number, bigint>()
  let last: NodeRange | undefined
  for (const range of ranges) {
    expect(range.level % 8).toBe(0)
    if (last?.level === range.level) expect(range.from > last.to).toBe(true)
    perLevel.set(range.level, (perLevel.get(range.level) ?? 0n) + range.to - range.from)
    last = range
  }
  for (const count of perLevel.values()) expect(count <= 511n).toBe(true)
  expect(ranges.length).toBeLessThanOrEqual(24)
}
