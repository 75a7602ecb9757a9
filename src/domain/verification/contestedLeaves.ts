/** Several rows claim one leaf: which of them is the log's, the hashes that are stored say, or nobody. */
import type { Frontier, Hash } from '../model.ts'
import { type Block, sameFrontier } from './block.ts'
import { LeafTree } from './leafTree.ts'
import type { RowSheet } from './rowSheet.ts'

/** Ways to choose that are tried of one block, besides the first and the last of all: some ten milliseconds. */
const MAX_CHOICES = 1_024

/** What says how the leaves up to `count` must be chosen. */
interface Witness {
  readonly count: number
  agrees(leaves: Frontier): boolean
}

interface Contest {
  readonly position: number
  /** In the order of their offsets. */
  readonly claimed: readonly number[]
}

/**
 * The row of each leaf by those that claim it: null where there is none, and where nothing tells which. Rows are believed by
 * the leaf hash that they carry, else by that of their bytes, and the node or the log's frontier before the checkpoint.
 */
export function chooseRows(
  sheet: RowSheet,
  claims: readonly (readonly number[])[],
  block: Block,
): (number | null)[] {
  const chosen = claims.map(([only, ...others]) => (others.length > 0 ? null : (only ?? null)))
  const contests = claims.flatMap((claimed, position) => (claimed.length > 1 ? [{ position, claimed }] : []))
  if (contests.length === 0) return chosen
  for (const witness of witnessesOf(block)) {
    const covered = claims.slice(0, witness.count)
    const within = contests.filter(({ position }) => position < witness.count)
    if (within.length === 0 || covered.some((claimed) => claimed.length === 0)) continue
    for (const hashes of [sheet.stored, sheet.computed]) {
      const picks = firstThatAgrees(hashes, covered, within, witness)
      if (picks === null) continue
      within.forEach(({ position, claimed }, i) => {
        chosen[position] = claimed[picks[i] as number] as number
      })
      return chosen
    }
  }
  return chosen
}

function witnessesOf({ reference, checkpoint, count }: Block): Witness[] {
  const stored: Witness[] =
    reference === null ? [] : [{ count, agrees: (leaves) => sameFrontier(leaves, reference) }]
  return checkpoint === null ? stored : [...stored, checkpoint]
}

/** Which claim of each contest; null when no choice that is tried agrees. */
function firstThatAgrees(
  hashes: readonly Hash[],
  claims: readonly (readonly number[])[],
  contests: readonly Contest[],
  { count, agrees }: Witness,
): readonly number[] | null {
  const tree = new LeafTree(claims.map(([row]) => hashes[row as number] as Hash))
  const picks = contests.map(() => 0)
  const pick = (contest: number, claim: number): void => {
    const { position, claimed } = contests[contest] as Contest
    picks[contest] = claim
    tree.set(position, hashes[claimed[claim] as number] as Hash)
  }
  const fits = (): boolean => agrees(tree.frontier(count))
  if (fits()) return picks
  // A stranger stands before the genuine row everywhere, or behind it everywhere: however many there are.
  contests.forEach(({ claimed }, i) => {
    pick(i, claimed.length - 1)
  })
  if (fits()) return picks
  if (contests.reduce((product, { claimed }) => product * claimed.length, 1) > MAX_CHOICES) return null
  contests.forEach((_, i) => {
    pick(i, 0)
  })
  for (;;) {
    // Counts on: the first digit that is not at its end.
    let digit = 0
    for (; digit < contests.length; digit++) {
      if ((picks[digit] as number) + 1 < (contests[digit] as Contest).claimed.length) break
      pick(digit, 0)
    }
    if (digit === contests.length) return null
    pick(digit, (picks[digit] as number) + 1)
    if (fits()) return picks
  }
}
