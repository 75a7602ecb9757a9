/** What the checkpoints say of a block of leaves, held against its rows. */
import { appendLeaves, rootOf } from '../merkle.ts'
import type { Frontier, Hash, LeafIndex } from '../model.ts'
import { BLOCK_LEAVES, BLOCK_LEVEL, type Checkpointed, subtreesOf } from './block.ts'
import type { Finding } from './finding.ts'
import type { Progress } from './progress.ts'
import type { RowSheet } from './rowSheet.ts'
import { type CheckpointRow, CLOCK_LEAP_MS, type Evidence } from './stored.ts'

interface BlockAtHand {
  /** Its leaves; null when not all of them are known. */
  readonly known: readonly Hash[] | null
  readonly count: number
  readonly damaged: boolean
}

interface RowRange {
  readonly start: number
  readonly end: number
}

interface Checked {
  /** Checkpoints whose size lies behind the block's first leaf and not behind its last. */
  readonly checked: number
  readonly findings: readonly Finding[]
}

/**
 * Of a checkpoint over the block's last leaf, the block does not tell what comes behind it: the next one does, which looks
 * at it again.
 */
export function checkCheckpoints(
  progress: Progress,
  block: BlockAtHand,
  { checkpoints }: Evidence,
  sheet: RowSheet,
  { start, end }: RowRange,
): Checked {
  const { size } = progress
  const to = size + BigInt(block.count)
  const findings: Finding[] = []
  let checked = 0
  for (const checkpoint of checkpoints) {
    if (checkpoint.size < size || checkpoint.size > to) continue
    const within = Number(checkpoint.size - size)
    if (within > 0) checked++
    const after = start + within < end ? sheet.offsets[start + within] : undefined
    const tooFar = !block.damaged && after !== undefined && after < checkpoint.offset
    const flaw = tooFar ? { column: 'offset', what: BEHIND_NEXT } : null
    const found = within === 0 ? flaw : (wrongIn(progress, block, checkpoint, sheet, start) ?? flaw)
    if (found !== null) findings.push(checkpointFinding(checkpoint, size, found.what, found.column))
  }
  return { checked, findings }
}

const BEHIND_NEXT = 'has an offset that lies behind the leaf that follows it'

/** The first thing that is wrong with a checkpoint over leaves of the block: so one damage is one finding. */
function wrongIn(
  progress: Progress,
  { known, damaged }: BlockAtHand,
  checkpoint: CheckpointRow,
  sheet: RowSheet,
  start: number,
): { readonly column: string; readonly what: string } | null {
  const within = Number(checkpoint.size - progress.size)
  if (known !== null) {
    const tail = subtreesOf(known.slice(0, within))
    if (rootAt(progress, tail, checkpoint.size) !== checkpoint.rootHash)
      return { column: 'root_hash', what: 'has another root than the rows give' }
  }
  if (checkpoint.flaw !== null) return checkpoint.flaw
  if (known === null || damaged) return null
  const last = start + within - 1
  if ((sheet.ends[last] as bigint) > checkpoint.offset)
    return { column: 'offset', what: 'has an offset that is not behind its last leaf' }
  const { createdMs } = checkpoint
  return createdMs !== null && createdMs < (sheet.ingestedMs[last] as number) - CLOCK_LEAP_MS
    ? { column: 'created_at', what: 'was made before its last leaf was ingested' }
    : null
}

/** The checkpoint that covers most of a block, among those that have no flaw. */
export function checkpointOf(
  progress: Progress,
  count: number,
  { checkpoints }: Evidence,
): Checkpointed | null {
  const { size } = progress
  const to = size + BigInt(count)
  const within = checkpoints.filter((each) => each.size > size && each.size <= to && each.flaw === null)
  const most = within.reduce<CheckpointRow | null>(
    (found, each) => (found === null || each.size > found.size ? each : found),
    null,
  )
  if (most === null) return null
  return {
    count: Number(most.size - size),
    agrees: (leaves) => rootAt(progress, leaves, most.size) === most.rootHash,
  }
}

/** Blocks and tail are compact ranges of their own; a whole last block must be merged into the range before it. */
function rootAt({ blocks, size: blockLeaves }: Progress, tail: Frontier, size: bigint): Hash {
  if (size - blockLeaves < BigInt(BLOCK_LEAVES)) return rootOf([...blocks, ...tail], size)
  const index = blockLeaves >> BigInt(BLOCK_LEVEL)
  const grown = appendLeaves({ size: index as LeafIndex, frontier: blocks }, tail)
  return rootOf(grown.frontier, grown.size)
}

export const checkpointFinding = (
  { checkpointId, size }: CheckpointRow,
  from: bigint,
  what: string,
  column: string,
): Finding => ({
  kind: 'checkpoint',
  leafIndex: String(from),
  offset: null,
  count: '1',
  column,
  checkpointId,
  detail: `the checkpoint ${checkpointId} over ${size} leaves ${what}`,
})
