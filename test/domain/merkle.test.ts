import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { hashFromBytes, hashToBytes, hashToHex, sha256 } from '../../src/domain/hash.ts'
import {
  appendLeaves,
  decodeFrontier,
  emptyFrontier,
  emptyRoot,
  encodeFrontier,
  frontierFromBase64,
  frontierToBase64,
  hashNode,
  rootOf,
  type TreePosition,
} from '../../src/domain/merkle.ts'
import type { Hash, LeafIndex, StoredNode } from '../../src/domain/model.ts'
import { rootFromParts, rootPlan } from '../../src/domain/pastRoot.ts'
import { naiveLeaf, naiveRoot } from './naive-merkle.ts'

const vectors = JSON.parse(
  readFileSync(new URL('../vectors/merkle-roots.json', import.meta.url), 'utf8'),
) as { leafInputs: string[]; roots: string[] }

const empty: TreePosition = { size: 0n as LeafIndex, frontier: emptyFrontier }
const someLeaves = (count: number): Hash[] =>
  Array.from({ length: count }, (_, index) => sha256(`leaf ${index}`))

describe('Merkle tree', () => {
  it('has the published roots at every size', () => {
    const leaves = vectors.leafInputs.map((hex) => hashFromBytes(naiveLeaf(Buffer.from(hex, 'hex'))))
    const roots = vectors.roots.map((_, size) => {
      const tree = appendLeaves(empty, leaves.slice(0, size))
      return hashToHex(rootOf(tree.frontier, tree.size))
    })
    expect(roots).toEqual(vectors.roots)
    expect(hashToHex(emptyRoot)).toBe(vectors.roots[0])
  })

  it('agrees with the recursive definition, however the leaves are cut into batches', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 90 }), { maxLength: 8 }), (batches) => {
        const leaves = someLeaves(batches.reduce((sum, count) => sum + count, 0))
        let tree = empty
        let at = 0
        for (const count of batches) {
          tree = appendLeaves(tree, leaves.slice(at, at + count))
          at += count
        }
        expect(hashToBytes(rootOf(tree.frontier, tree.size))).toEqual(naiveRoot(leaves.map(hashToBytes)))
      }),
      { numRuns: 60 },
    )
  })

  it('stores the roots of complete subtrees at levels 8 and 16, each once', () => {
    const leaves = someLeaves(66_000)
    const { nodes } = appendLeaves(empty, leaves)
    expect(nodes.filter((node) => node.level === 8).map((node) => node.index)).toEqual(
      Array.from({ length: 257 }, (_, index) => BigInt(index)),
    )
    expect(nodes.filter((node) => node.level === 16).map((node) => node.index)).toEqual([0n])
    const third = nodes.find((node) => node.level === 8 && node.index === 3n) as StoredNode
    expect(hashToBytes(third.hash)).toEqual(naiveRoot(leaves.slice(768, 1024).map(hashToBytes)))
  })

  it('gives every past root back from stored nodes and at most 255 leaves', () => {
    const leaves = someLeaves(66_300)
    const { nodes } = appendLeaves(empty, leaves)
    const stored = new Map(nodes.map((node) => [`${node.level}/${node.index}`, node.hash]))
    const sizes = [0, 1, 255, 256, 257, 511, 65_535, 65_536, 65_537, 66_047, 66_300]
    for (const size of sizes) {
      const plan = rootPlan(BigInt(size))
      expect(plan.leaves.to - plan.leaves.from).toBeLessThan(256n)
      const parts = {
        nodes: plan.nodes.map(({ level, from, to }) =>
          Array.from(
            { length: Number(to - from) },
            (_, index) => stored.get(`${level}/${from + BigInt(index)}`) as Hash,
          ),
        ),
        leaves: leaves.slice(Number(plan.leaves.from), Number(plan.leaves.to)),
      }
      const tree = appendLeaves(empty, leaves.slice(0, size))
      expect(rootFromParts(plan, parts)).toBe(rootOf(tree.frontier, tree.size))
    }
    expect(() => rootFromParts(rootPlan(300n), { nodes: [[]], leaves: [] })).toThrow(RangeError)
  })

  it('carries over the 32-bit border and indexes the node there', () => {
    const frontier = someLeaves(32)
    const [leaf] = someLeaves(1) as [Hash]
    const {
      size,
      frontier: merged,
      nodes,
    } = appendLeaves({ size: (2n ** 32n - 1n) as LeafIndex, frontier }, [leaf, leaf])
    expect(size).toBe(2n ** 32n + 1n)
    expect(merged).toHaveLength(2)
    expect(nodes.map(({ level, index }) => [level, index])).toEqual([
      [8, 2n ** 24n - 1n],
      [16, 2n ** 16n - 1n],
      [24, 2n ** 8n - 1n],
      [32, 0n],
    ])
    expect(merged[0]).toBe(frontier.reduceRight((right, left) => hashNode(left, right), leaf))
    const beyond = appendLeaves({ size: (2n ** 40n + 255n) as LeafIndex, frontier: someLeaves(9) }, [leaf])
    expect(beyond.nodes.map(({ level, index }) => [level, index])).toEqual([[8, 2n ** 32n]])
  })

  it('refuses a frontier that does not belong to the size', () => {
    const { frontier } = appendLeaves(empty, someLeaves(5))
    expect(() => rootOf(frontier, 7n)).toThrow(RangeError)
    expect(() => appendLeaves({ size: 4n as LeafIndex, frontier }, [])).toThrow(RangeError)
    expect(() => rootPlan(-1n)).toThrow(RangeError)
    expect(() => rootPlan(2n ** 63n)).toThrow(RangeError)
  })

  it('writes a frontier as bytes and as base64 and reads it back', () => {
    const { frontier } = appendLeaves(empty, someLeaves(1_000))
    expect(encodeFrontier(frontier)).toHaveLength(frontier.length * 32)
    expect(decodeFrontier(encodeFrontier(frontier))).toEqual(frontier)
    expect(frontierFromBase64(frontierToBase64(frontier))).toEqual(frontier)
    expect(() => decodeFrontier(Buffer.alloc(33))).toThrow(RangeError)
    expect(() => frontierFromBase64('AAAA!')).toThrow(RangeError)
  })
})
