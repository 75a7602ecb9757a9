/** Inclusion and consistency proofs, RFC 9162 §2.1.3 and §2.1.4 (the same proofs as RFC 6962's). */
import { HASH_BYTES } from './hash.ts'
import { hashNode } from './merkle.ts'
import type { Hash } from './model.ts'

/** Root of the leaves `[from, to)`: `to − from` is a power of two and `from` a multiple of it, or `to` the tree's end. */
export type RangeRoot = (from: bigint, to: bigint) => Hash

/** Audit path of a leaf, from the leaf upwards. Throws RangeError when the tree has no such leaf. */
export function inclusionProof(index: bigint, size: bigint, rangeRoot: RangeRoot): Hash[] {
  if (index < 0n || index >= size) throw new RangeError(`a tree of ${size} leaves has no leaf ${index}`)
  const path: Hash[] = []
  let from = 0n
  let to = size
  while (to - from > 1n) {
    const middle = from + splitOf(to - from)
    if (index < middle) {
      path.push(rangeRoot(middle, to))
      to = middle
    } else {
      path.push(rangeRoot(from, middle))
      from = middle
    }
  }
  return path.reverse()
}

/**
 * Proof that the tree of `size` leaves begins with the tree of `oldSize`. Throws RangeError unless
 * 0 < oldSize ≤ size: the empty tree begins every tree, so a proof from it would say nothing.
 */
export function consistencyProof(oldSize: bigint, size: bigint, rangeRoot: RangeRoot): Hash[] {
  if (oldSize <= 0n || oldSize > size)
    throw new RangeError(`no consistency proof leads from ${oldSize} to ${size} leaves`)
  const path: Hash[] = []
  let from = 0n
  let to = size
  while (oldSize < to) {
    const middle = from + splitOf(to - from)
    if (oldSize <= middle) {
      path.push(rangeRoot(middle, to))
      to = middle
    } else {
      path.push(rangeRoot(from, middle))
      from = middle
    }
  }
  // A subtree that is the whole old tree is known to the verifier by its root.
  if (from > 0n) path.push(rangeRoot(from, to))
  return path.reverse()
}

/** The largest power of two below `count` (count > 1). */
const splitOf = (count: bigint): bigint => 1n << BigInt((count - 1n).toString(2).length - 1)

/** Whether the proof shows `leaf` at `index` of the tree with this size and root (RFC 9162 §2.1.3.2). */
export function verifyInclusion(
  claim: { readonly index: bigint; readonly size: bigint; readonly leaf: Hash; readonly root: Hash },
  proof: readonly Hash[],
): boolean {
  const { index, size, leaf, root } = claim
  if (index < 0n || index >= size || !areHashes([leaf, root, ...proof])) return false
  let node = index
  let last = size - 1n
  let hash = leaf
  for (const sibling of proof) {
    if (last === 0n) return false
    if ((node & 1n) === 1n || node === last) {
      hash = hashNode(sibling, hash)
      while ((node & 1n) === 0n && node !== 0n) {
        node >>= 1n
        last >>= 1n
      }
    } else hash = hashNode(hash, sibling)
    node >>= 1n
    last >>= 1n
  }
  return last === 0n && hash === root
}

/** Whether the proof shows that the newer tree begins with the older one (RFC 9162 §2.1.4.2). */
export function verifyConsistency(
  claim: { readonly oldSize: bigint; readonly oldRoot: Hash; readonly size: bigint; readonly root: Hash },
  proof: readonly Hash[],
): boolean {
  const { oldSize, oldRoot, size, root } = claim
  if (oldSize <= 0n || oldSize > size) return false
  if (oldSize === size) return proof.length === 0 && oldRoot === root
  if (!areHashes([oldRoot, root, ...proof])) return false
  // An old tree that is one perfect subtree is left out of the proof: its root is known.
  const isPerfect = (oldSize & (oldSize - 1n)) === 0n
  const [start, ...rest] = isPerfect ? [oldRoot, ...proof] : proof
  if (start === undefined) return false
  let node = oldSize - 1n
  let last = size - 1n
  while ((node & 1n) === 1n) {
    node >>= 1n
    last >>= 1n
  }
  let oldHash = start
  let hash = start
  for (const sibling of rest) {
    if (last === 0n) return false
    if ((node & 1n) === 1n || node === last) {
      oldHash = hashNode(sibling, oldHash)
      hash = hashNode(sibling, hash)
      while ((node & 1n) === 0n && node !== 0n) {
        node >>= 1n
        last >>= 1n
      }
    } else hash = hashNode(hash, sibling)
    node >>= 1n
    last >>= 1n
  }
  return last === 0n && oldHash === oldRoot && hash === root
}

/** A hash of another length could pass for two of them. */
const areHashes = (hashes: readonly Hash[]): boolean => hashes.every((hash) => hash.length === HASH_BYTES)
