import { expect, it } from 'vitest'
import { sha256 } from '../../../src/domain/hash.ts'
import { subtreesOf } from '../../../src/domain/verification/block.ts'
import { LeafTree } from '../../../src/domain/verification/leafTree.ts'

const leavesOf = (count: number, salt = ''): ReturnType<typeof sha256>[] =>
  Array.from({ length: count }, (_, index) => sha256(`${salt}${index}`))

it('gives the roots that appending gives, for every size of a block, and every size below it', () => {
  for (let count = 1; count <= 256; count++) {
    const leaves = leavesOf(count)
    const tree = new LeafTree(leaves)
    expect(tree.frontier(count)).toEqual(subtreesOf(leaves))
    const below = Math.ceil(count / 3)
    expect(tree.frontier(below)).toEqual(subtreesOf(leaves.slice(0, below)))
  }
})

it('gives them also when leaves were exchanged', () => {
  for (const count of [1, 2, 7, 44, 255, 256]) {
    const [leaves, others] = [leavesOf(count), leavesOf(count, 'x')]
    const tree = new LeafTree(leaves)
    for (let leaf = 0; leaf < count; leaf += 3) {
      leaves[leaf] = others[leaf] as (typeof others)[number]
      tree.set(leaf, leaves[leaf] as (typeof leaves)[number])
      expect(tree.frontier(count)).toEqual(subtreesOf(leaves))
    }
  }
})
