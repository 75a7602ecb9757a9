/**
 * Proofs from what is stored: nodes at levels 8, 16, 24… and raw leaves. Data in, data out, as for past roots
 * (pastRoot.ts): a plan says what to fetch, and the proof is computed from that.
 */
import { appendLeaves, emptyFrontier, rootOf, STORED_LEVEL_STEP } from './merkle.ts'
import type { Hash, LeafIndex } from './model.ts'
import type { NodeRange } from './pastRoot.ts'
import { consistencyProof, inclusionProof, type RangeRoot } from './proofs.ts'

/** What a proof needs: ranges of stored nodes, and of raw leaves as level 0; ordered, and none touches another. */
export interface ProofPlan {
  readonly ranges: readonly NodeRange[]
}

/** For each range of the plan, in its order, the hashes by index. */
export type ProofParts = readonly (readonly Hash[])[]

type Prove = (rangeRoot: RangeRoot) => Hash[]

/**
 * What must be known to prove that leaf `index` is in the tree of `size` leaves: of each stored level at most 255
 * hashes around the leaf's path and 255 at the tree's right edge. Throws RangeError when there is no such leaf.
 */
export const inclusionPlan = (index: bigint, size: bigint): ProofPlan =>
  planOf((rangeRoot) => inclusionProof(index, size, rangeRoot))

/** Throws RangeError when the parts are not what the plan asked for. */
export const inclusionFromParts = (index: bigint, size: bigint, parts: ProofParts): Hash[] =>
  proofOf((rangeRoot) => inclusionProof(index, size, rangeRoot), parts)

/**
 * The same for a proof that the tree of `size` leaves begins with the one of `oldSize`; one hash of a level more, since
 * the path begins with a node. Throws RangeError unless 0 < oldSize ≤ size.
 */
export const consistencyPlan = (oldSize: bigint, size: bigint): ProofPlan =>
  planOf((rangeRoot) => consistencyProof(oldSize, size, rangeRoot))

/** Throws RangeError when the parts are not what the plan asked for. */
export const consistencyFromParts = (oldSize: bigint, size: bigint, parts: ProofParts): Hash[] =>
  proofOf((rangeRoot) => consistencyProof(oldSize, size, rangeRoot), parts)

/** Proves with nothing in hand and writes down what was asked for. */
function planOf(prove: Prove): ProofPlan {
  const asked: NodeRange[] = []
  prove((from, to) => {
    asked.push(...piecesOf(from, to))
    return '' as Hash
  })
  return { ranges: merged(asked) }
}

function proofOf(prove: Prove, parts: ProofParts): Hash[] {
  const { ranges } = planOf(prove)
  if (ranges.length !== parts.length) throw new RangeError('the parts do not follow the plan')
  const known = ranges.map((range, index) => ({ ...range, hashes: checked(range, parts[index] ?? []) }))
  const hashesOf = (piece: NodeRange): readonly Hash[] => {
    const range = known.find(
      ({ level, from, to }) => level === piece.level && from <= piece.from && piece.to <= to,
    )
    if (range === undefined) throw new RangeError('the parts do not follow the plan')
    return range.hashes.slice(Number(piece.from - range.from), Number(piece.to - range.from))
  }
  return prove((from, to) => {
    const subtrees = piecesOf(from, to).map((piece) => perfectRoot(hashesOf(piece)))
    return rootOf(subtrees, to - from)
  })
}

function checked(range: NodeRange, hashes: readonly Hash[]): readonly Hash[] {
  if (BigInt(hashes.length) === range.to - range.from) return hashes
  throw new RangeError(`${hashes.length} hashes instead of ${range.to - range.from}`)
}

/** Root of a perfect subtree from its nodes of one level: 1, 2, 4… 128 of them. */
const perfectRoot = (nodes: readonly Hash[]): Hash =>
  rootOf(
    appendLeaves({ size: 0n as LeafIndex, frontier: emptyFrontier }, nodes).frontier,
    BigInt(nodes.length),
  )

/**
 * The perfect subtrees that the leaves `[from, to)` fall into, largest first, each as nodes of the highest stored level
 * that it is made of. `from` is a multiple of the largest of them.
 */
function piecesOf(from: bigint, to: bigint): NodeRange[] {
  const pieces: NodeRange[] = []
  let at = from
  for (let height = (to - from).toString(2).length - 1; height >= 0; height--) {
    if ((((to - from) >> BigInt(height)) & 1n) === 0n) continue
    const level = height - (height % STORED_LEVEL_STEP)
    const end = at + (1n << BigInt(height))
    pieces.push({ level, from: at >> BigInt(level), to: end >> BigInt(level) })
    at = end
  }
  return pieces
}

/** By level and index, with neighbours joined. */
function merged(ranges: readonly NodeRange[]): NodeRange[] {
  const sorted = [...ranges].sort((one, other) => one.level - other.level || (one.from < other.from ? -1 : 1))
  const joined: NodeRange[] = []
  for (const range of sorted) {
    const last = joined.at(-1)
    if (last?.level === range.level && last.to === range.from)
      joined[joined.length - 1] = { ...last, to: range.to }
    else joined.push(range)
  }
  return joined
}
