/** A block of leaves, and what its leaves must give. */
import { appendLeaves, emptyFrontier, STORED_LEVEL_STEP } from '../merkle.ts'
import type { Frontier, Hash, LeafIndex } from '../model.ts'
import type { Away } from './detachedLeaves.ts'

export const BLOCK_LEAVES = 256
export const BLOCK_LEVEL = STORED_LEVEL_STEP

/** What a checkpoint says of the first leaves of a block. */
export interface Checkpointed {
  /** Leaves of the block that it covers: at least one. */
  readonly count: number
  /** Whether these leaves, behind the blocks before, give its root. */
  agrees(leaves: Frontier): boolean
}

export interface Block {
  /** Index of its first leaf. */
  readonly base: bigint
  /** Leaves that it must have. */
  readonly count: number
  /** What its leaves must hash to (one root, or the last part of the log's frontier); null when nothing says so. */
  readonly reference: Frontier | null
  /** The checkpoint with a good note, or none to have, that covers most of it; null when none ends in it. */
  readonly checkpoint: Checkpointed | null
  /** Leaves that no row stands for on purpose; null when there are none. */
  readonly away: Away | null
  /** Offsets that it may hold: [from, below). */
  readonly from: bigint
  readonly below: bigint | null
  readonly earliestMs: number
  readonly latestMs: number
}

export const subtreesOf = (leaves: readonly Hash[]): Frontier =>
  appendLeaves({ size: 0n as LeafIndex, frontier: emptyFrontier }, leaves).frontier

export const sameFrontier = (left: Frontier, right: Frontier): boolean =>
  left.length === right.length && left.every((hash, index) => hash === right[index])
