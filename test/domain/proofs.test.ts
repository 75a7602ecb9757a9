import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { hashFromBytes, hashToBytes, sha256 } from '../../src/domain/hash.ts'
import type { Hash } from '../../src/domain/model.ts'
import {
  consistencyProof,
  inclusionProof,
  type RangeRoot,
  verifyConsistency,
  verifyInclusion,
} from '../../src/domain/proofs.ts'
import { naiveLeaf, naiveRoot } from './naive-merkle.ts'

const leaves = Array.from({ length: 70 }, (_, index) => sha256(`leaf ${index}`))
const rangeRoot: RangeRoot = (from, to) =>
  hashFromBytes(naiveRoot(leaves.slice(Number(from), Number(to)).map(hashToBytes)))
const rootAt = (size: bigint): Hash => rangeRoot(0n, size)

interface Case {
  readonly name: string
  readonly size: string
  readonly root: string
  readonly proof: readonly string[]
  readonly good: boolean
}
interface InclusionCase extends Case {
  readonly index: string
  readonly leaf: string
}
interface ConsistencyCase extends Case {
  readonly oldSize: string
  readonly oldRoot: string
}

const published = JSON.parse(
  readFileSync(new URL('../vectors/merkle-proofs/proofs.json', import.meta.url), 'utf8'),
) as { readonly inclusion: readonly InclusionCase[]; readonly consistency: readonly ConsistencyCase[] }
/** Of any length: some cases are about that. */
const hashOf = (base64: string): Hash => Buffer.from(base64, 'base64').toString('latin1') as Hash

/** Every way to spoil a proof by one step. */
function spoiled(proof: readonly Hash[]): Hash[][] {
  const other = sha256('other')
  return [
    ...proof.map((_, at) => proof.map((hash, index) => (index === at ? other : hash))),
    ...proof.map((_, at) => proof.filter((__, index) => index !== at)),
    [...proof, other],
    [other, ...proof],
    [...proof, '' as Hash],
  ]
}

describe('proofs', () => {
  it('show every leaf in every tree, and nothing spoiled', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 70 }), fc.nat(), (leafCount, seed) => {
        const size = BigInt(leafCount)
        const index = BigInt(seed % leafCount)
        const leaf = leaves[Number(index)] as Hash
        const root = rootAt(size)
        const proof = inclusionProof(index, size, rangeRoot)
        expect(verifyInclusion({ index, size, leaf, root }, proof)).toBe(true)
        for (const wrong of spoiled(proof))
          expect(verifyInclusion({ index, size, leaf, root }, wrong)).toBe(false)
        expect(verifyInclusion({ index, size, leaf: sha256('x'), root }, proof)).toBe(false)
        expect(verifyInclusion({ index, size, leaf, root: sha256('x') }, proof)).toBe(false)
        expect(verifyInclusion({ index: index + size, size, leaf, root }, proof)).toBe(false)
        if (size > 1n) expect(verifyInclusion({ index: index ^ 1n, size, leaf, root }, proof)).toBe(false)
      }),
    )
  })

  it('show that every tree begins with every smaller one, and nothing spoiled', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 70 }), fc.integer({ min: 1, max: 70 }), (one, other) => {
        const oldSize = BigInt(Math.min(one, other))
        const size = BigInt(Math.max(one, other))
        const claim = { oldSize, oldRoot: rootAt(oldSize), size, root: rootAt(size) }
        const proof = consistencyProof(oldSize, size, rangeRoot)
        expect(verifyConsistency(claim, proof)).toBe(true)
        for (const wrong of spoiled(proof)) expect(verifyConsistency(claim, wrong)).toBe(false)
        expect(verifyConsistency({ ...claim, oldRoot: sha256('x') }, proof)).toBe(false)
        expect(verifyConsistency({ ...claim, root: sha256('x') }, proof)).toBe(false)
      }),
    )
  })

  it('say nothing about the empty tree or sizes that run backwards', () => {
    const claim = { oldSize: 0n, oldRoot: rootAt(0n), size: 8n, root: rootAt(8n) }
    expect(verifyConsistency(claim, [])).toBe(false)
    expect(verifyConsistency({ ...claim, oldSize: 9n }, [])).toBe(false)
    expect(() => consistencyProof(0n, 8n, rangeRoot)).toThrow(RangeError)
    expect(() => consistencyProof(9n, 8n, rangeRoot)).toThrow(RangeError)
    expect(() => inclusionProof(8n, 8n, rangeRoot)).toThrow(RangeError)
  })

  it('have the lengths of RFC 9162, section 2.1.5', () => {
    const lengths = [0n, 3n, 4n, 6n].map((index) => inclusionProof(index, 7n, rangeRoot).length)
    expect(lengths).toEqual([3, 3, 3, 2])
    expect([3n, 4n, 6n].map((size) => consistencyProof(size, 7n, rangeRoot).length)).toEqual([4, 1, 3])
  })

  it('are judged as the published cases say', () => {
    expect([published.inclusion.length, published.consistency.length]).toEqual([98, 98])
    for (const { name, index, size, leaf, root, proof, good } of published.inclusion) {
      const claim = { index: BigInt(index), size: BigInt(size), leaf: hashOf(leaf), root: hashOf(root) }
      expect([name, verifyInclusion(claim, proof.map(hashOf))]).toEqual([name, good])
    }
    for (const { name, oldSize, oldRoot, size, root, proof, good } of published.consistency) {
      const sizes = { oldSize: BigInt(oldSize), size: BigInt(size) }
      const claim = { ...sizes, oldRoot: hashOf(oldRoot), root: hashOf(root) }
      expect([name, verifyConsistency(claim, proof.map(hashOf))]).toEqual([name, good])
    }
  })

  it('are the published ones of the published trees', () => {
    const roots = JSON.parse(
      readFileSync(new URL('../vectors/merkle-roots.json', import.meta.url), 'utf8'),
    ) as { leafInputs: string[] }
    const tree = roots.leafInputs.map((hex) => naiveLeaf(Buffer.from(hex, 'hex')))
    const treeRoot: RangeRoot = (from, to) => hashFromBytes(naiveRoot(tree.slice(Number(from), Number(to))))
    const goodInclusion = published.inclusion.filter(({ name }) => name.endsWith(', good'))
    for (const { index, size, proof } of goodInclusion)
      expect(inclusionProof(BigInt(index), BigInt(size), treeRoot)).toEqual(proof.map(hashOf))
    const goodConsistency = published.consistency.filter(({ name }) => name.endsWith(', good'))
    for (const { oldSize, size, proof } of goodConsistency)
      expect(consistencyProof(BigInt(oldSize), BigInt(size), treeRoot)).toEqual(proof.map(hashOf))
    expect([goodInclusion.length, goodConsistency.length]).toEqual([5, 5])
  })
})
