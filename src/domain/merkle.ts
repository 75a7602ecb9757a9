/**
 * The Merkle tree of a log (RFC 6962 §2.1, RFC 9162 §2.1) kept as a compact range: the roots of the perfect subtrees
 * that the set bits of its size stand for, largest first ("compact ranges", transparency-dev/merkle).
 */
import { HASH_BYTES, hashFromBytes, sha256 } from './hash.ts'
import type { Frontier, Hash, LeafIndex, StoredNode } from './model.ts'

/** Interior nodes are stored at every level that is a multiple of this: one row per 256 leaves, and so on up. */
export const STORED_LEVEL_STEP = 8
/** Sizes stay below 2^63: leaf indexes are PostgreSQL bigints. */
export const MAX_TREE_SIZE = 2n ** 63n - 1n

const NODE_PREFIX = 0x01

export const emptyFrontier: Frontier = []
/** RFC 6962: the root of the empty tree is the hash of nothing. */
export const emptyRoot: Hash = sha256('')

const nodeBytes = Buffer.alloc(1 + 2 * HASH_BYTES)
nodeBytes[0] = NODE_PREFIX

/** SHA-256(0x01 ‖ left ‖ right). */
export function hashNode(left: Hash, right: Hash): Hash {
  nodeBytes.write(left, 1, HASH_BYTES, 'latin1')
  nodeBytes.write(right, 1 + HASH_BYTES, HASH_BYTES, 'latin1')
  return sha256(nodeBytes)
}

export interface TreePosition {
  readonly size: LeafIndex
  readonly frontier: Frontier
}

export interface AppendedLeaves extends TreePosition {
  /** Nodes at levels 8, 16, 24… that these leaves completed, in order of completion. */
  readonly nodes: StoredNode[]
}

/** Appends leaves in order; amortised one node hash per leaf. Throws RangeError when frontier and size disagree. */
export function appendLeaves(position: TreePosition, leaves: readonly Hash[]): AppendedLeaves {
  checkFrontier(position)
  const stack = [...position.frontier]
  const nodes: StoredNode[] = []
  const end = position.size + BigInt(leaves.length)
  if (end > MAX_TREE_SIZE) throw new RangeError('a tree has at most 2^63 − 1 leaves')
  // The leaf count so far, in two parts: 32-bit arithmetic for each leaf, a bigint step once in 2^32.
  let low = Number(position.size & 0xffff_ffffn)
  let high = position.size >> 32n
  for (let hash of leaves) {
    const merges = trailingOnes(low, high)
    for (let level = 1; level <= merges; level++) {
      hash = hashNode(stack.pop() as Hash, hash)
      if (level % STORED_LEVEL_STEP === 0) {
        const index = ((high << 32n) | BigInt(low)) >> BigInt(level)
        nodes.push({ level, index, hash })
      }
    }
    stack.push(hash)
    low = (low + 1) >>> 0
    if (low === 0) high += 1n
  }
  return { size: end as LeafIndex, frontier: stack, nodes }
}

function trailingOnes(low: number, high: bigint): number {
  if (low !== 0xffff_ffff) return trailingZeros(~low)
  let ones = 32
  for (let rest = high; (rest & 1n) === 1n; rest >>= 1n) ones++
  return ones
}

const trailingZeros = (bits: number): number => 31 - Math.clz32(bits & -bits)

/** Root of a tree from its frontier; `size` guards against a frontier of another tree. */
export function rootOf(frontier: Frontier, size: bigint): Hash {
  checkFrontier({ frontier, size: size as LeafIndex })
  let index = frontier.length - 1
  if (index < 0) return emptyRoot
  let root = frontier[index] as Hash
  while (--index >= 0) root = hashNode(frontier[index] as Hash, root)
  return root
}

function checkFrontier({ frontier, size }: TreePosition): void {
  if (size < 0n || size > MAX_TREE_SIZE) throw new RangeError('a tree size lies in 0…2^63 − 1')
  if (frontier.length !== setBits(size))
    throw new RangeError(
      `a frontier of ${frontier.length} hashes does not belong to a tree of ${size} leaves`,
    )
}

/** Hashes in the frontier of a tree of this size. */
export function setBits(size: bigint): number {
  let bits = 0
  for (let rest = size; rest > 0n; rest >>= 32n) {
    for (let word = Number(rest & 0xffff_ffffn); word !== 0; word = (word & (word - 1)) >>> 0) bits++
  }
  return bits
}

/** The hashes one after another, 32 bytes each, largest subtree first. */
export const encodeFrontier = (frontier: Frontier): Buffer => Buffer.from(frontier.join(''), 'latin1')

/** Inverse of `encodeFrontier`; throws RangeError when the length is no multiple of 32 or more than 64 hashes. */
export function decodeFrontier(bytes: Uint8Array): Frontier {
  if (bytes.length % HASH_BYTES !== 0 || bytes.length > 64 * HASH_BYTES)
    throw new RangeError(`${bytes.length} bytes are no frontier`)
  const hashes: Hash[] = []
  for (let at = 0; at < bytes.length; at += HASH_BYTES)
    hashes.push(hashFromBytes(bytes.subarray(at, at + HASH_BYTES)))
  return hashes
}

/** `encodeFrontier` in base64: 1,280 characters at a billion leaves, within the 4,096 of Kafka's offset metadata. */
export const frontierToBase64 = (frontier: Frontier): string => encodeFrontier(frontier).toString('base64')

/** Inverse of `frontierToBase64`; throws RangeError on anything that it would not have written. */
export function frontierFromBase64(text: string): Frontier {
  const bytes = Buffer.from(text, 'base64')
  if (bytes.toString('base64') !== text) throw new RangeError('the frontier is not standard base64')
  return decodeFrontier(bytes)
}
