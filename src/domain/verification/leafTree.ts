/** A small tree of which single leaves can be exchanged: the way to its roots costs eight hashes, not a block's 255. */
import { hashNode } from '../merkle.ts'
import type { Frontier, Hash } from '../model.ts'

export class LeafTree {
  /** By level, from the leaves upwards: the roots of the perfect subtrees. */
  readonly #levels: Hash[][]

  constructor(leaves: readonly Hash[]) {
    this.#levels = [[...leaves]]
    for (let below = leaves.length; below > 1; below >>= 1) {
      const children = this.#levels.at(-1) as Hash[]
      this.#levels.push(Array.from({ length: below >> 1 }, (_, index) => parent(children, index)))
    }
  }

  set(leaf: number, hash: Hash): void {
    const [leaves] = this.#levels as [Hash[]]
    leaves[leaf] = hash
    for (let level = 1, index = leaf >> 1; level < this.#levels.length; level++, index >>= 1) {
      const nodes = this.#levels[level] as Hash[]
      // A leaf behind the last perfect subtree of this level has no node there, nor above.
      if (index >= nodes.length) return
      nodes[index] = parent(this.#levels[level - 1] as Hash[], index)
    }
  }

  /** The roots of the perfect subtrees that the first leaves up to `count` make, the largest first. */
  frontier(count: number): Frontier {
    const roots: Hash[] = []
    for (let level = this.#levels.length - 1; level >= 0; level--)
      if (((count >> level) & 1) === 1) roots.push(this.#levels[level]?.[(count >> level) - 1] as Hash)
    return roots
  }
}

const parent = (children: readonly Hash[], index: number): Hash =>
  hashNode(children[2 * index] as Hash, children[2 * index + 1] as Hash)
