import type { Pool } from 'pg'
import type { Hash, LeafIndex, LogId } from '../domain/model.ts'
import type { NodeRange } from '../domain/pastRoot.ts'
import {
  consistencyFromParts,
  consistencyPlan,
  inclusionFromParts,
  inclusionPlan,
  type ProofParts,
  type ProofPlan,
} from '../domain/storedProof.ts'
import { ServiceError } from '../errors.ts'
import { detachedIn } from './detached.ts'
import { leafHashes, nodeHashes } from './ranges.ts'
import { BLOCK_LEAVES } from './sparseIndex.ts'

/**
 * That leaf `index` is among the first `size` leaves, from what is stored. Throws RangeError when there is no such leaf,
 * LOG_DAMAGED when nodes or leaves are missing, DETACHED when these went away with a day.
 */
export async function inclusionOf(
  pool: Pool,
  id: LogId,
  index: LeafIndex,
  size: LeafIndex,
): Promise<readonly Hash[]> {
  const plan = inclusionPlan(index, size)
  const parts = await fetchParts(pool, id, plan)
  return await complete(pool, id, plan, () => inclusionFromParts(index, size, parts))
}

/** That the first `size` leaves begin with the first `oldSize`. Throws RangeError unless 0 < oldSize ≤ size, LOG_DAMAGED, and DETACHED. */
export async function consistencyOf(
  pool: Pool,
  id: LogId,
  oldSize: LeafIndex,
  size: LeafIndex,
): Promise<readonly Hash[]> {
  const plan = consistencyPlan(oldSize, size)
  const parts = await fetchParts(pool, id, plan)
  return await complete(pool, id, plan, () => consistencyFromParts(oldSize, size, parts))
}

/** A dozen ranges at most, some hundred hashes each, whatever the size of the log. */
const fetchParts = (pool: Pool, id: LogId, { ranges }: ProofPlan): Promise<ProofParts> =>
  Promise.all(
    ranges.map((range) => (range.level === 0 ? leavesOf(pool, id, range) : nodeHashes(pool, id, range))),
  )

/** Leaves are read block by block, since a block's bounds are what is known of where and when it was ingested. */
async function leavesOf(pool: Pool, id: LogId, { from, to }: NodeRange): Promise<Hash[]> {
  const hashes: Hash[] = []
  for (let at = from; at < to; ) {
    const blockEnd = (at / BigInt(BLOCK_LEAVES) + 1n) * BigInt(BLOCK_LEAVES)
    const end = blockEnd < to ? blockEnd : to
    hashes.push(...(await leafHashes(pool, id, { from: at, to: end })))
    at = end
  }
  return hashes
}

async function complete(
  pool: Pool,
  id: LogId,
  { ranges }: ProofPlan,
  prove: () => Hash[],
): Promise<readonly Hash[]> {
  try {
    return prove()
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause
    for (const { level, from, to } of ranges) {
      const detached =
        level === 0 && from < to ? await detachedIn(pool, id, { fromLeaf: from, toLeaf: to }) : null
      if (detached !== null) throw detached
    }
    throw new ServiceError('LOG_DAMAGED', `Log ${id} lacks nodes or leaves that the proof needs`, { cause })
  }
}
