/**
 * Roots at any past size from what is stored: nodes at levels 8, 16, 24… and at most 255 raw leaves. Data in, data out:
 * `rootPlan` says what to fetch, `rootFromParts` computes.
 */
import { appendLeaves, emptyFrontier, MAX_TREE_SIZE, rootOf, STORED_LEVEL_STEP } from './merkle.ts'
import type { Frontier, Hash, LeafIndex } from './model.ts'

/** Stored nodes `[from, to)` of one level; at most 255. */
export interface NodeRange {
  readonly level: number
  readonly from: bigint
  readonly to: bigint
}

export interface RootPlan {
  readonly size: bigint
  /** Highest level first; only ranges that hold something. */
  readonly nodes: readonly NodeRange[]
  /** Raw leaves `[from, to)`; at most 255, possibly none. */
  readonly leaves: { readonly from: bigint; readonly to: bigint }
}

/** What must be known to compute the root of the first `size` leaves: at most 255 hashes of each stored level. */
export function rootPlan(size: bigint): RootPlan {
  if (size < 0n || size > MAX_TREE_SIZE) throw new RangeError('a tree size lies in 0…2^63 − 1')
  const nodes: NodeRange[] = []
  for (let level = 56; level >= STORED_LEVEL_STEP; level -= STORED_LEVEL_STEP) {
    const range = { level, ...childrenAt(size, level) }
    if (range.from < range.to) nodes.push(range)
  }
  return { size, nodes, leaves: childrenAt(size, 0) }
}

/** Nodes of `level` that lie within the first `size` leaves but in no complete node of the next stored level. */
function childrenAt(size: bigint, level: number): { from: bigint; to: bigint } {
  const to = size >> BigInt(level)
  return { from: (to >> BigInt(STORED_LEVEL_STEP)) << BigInt(STORED_LEVEL_STEP), to }
}

export interface RootParts {
  /** For each range of the plan, in its order, the node hashes by index. */
  readonly nodes: readonly (readonly Hash[])[]
  readonly leaves: readonly Hash[]
}

/** The frontier at the plan's size. Throws RangeError when the parts are not what the plan asked for. */
export function frontierFromParts(plan: RootPlan, parts: RootParts): Frontier {
  if (parts.nodes.length !== plan.nodes.length) throw new RangeError('the parts do not follow the plan')
  const frontier: Hash[] = []
  plan.nodes.forEach((range, index) => {
    frontier.push(...subtreesOf(parts.nodes[index] ?? [], range.to - range.from))
  })
  frontier.push(...subtreesOf(parts.leaves, plan.leaves.to - plan.leaves.from))
  return frontier
}

/** The root at the plan's size. Throws RangeError when the parts are not what the plan asked for. */
export const rootFromParts = (plan: RootPlan, parts: RootParts): Hash =>
  rootOf(frontierFromParts(plan, parts), plan.size)

/** Merges neighbours of one level; a range starts at a multiple of 256, so its subtrees are aligned. */
function subtreesOf(hashes: readonly Hash[], expected: bigint): Frontier {
  if (BigInt(hashes.length) !== expected)
    throw new RangeError(`${hashes.length} hashes instead of ${expected}`)
  return appendLeaves({ size: 0n as LeafIndex, frontier: emptyFrontier }, hashes).frontier
}
