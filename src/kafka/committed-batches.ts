import { isControl, isTransactional, type RecordBatchHeader } from './record-batch-header.ts'
import { batchOverhead } from './record-batch-layout.ts'

export interface AbortedTransaction {
  readonly producerId: string
  readonly firstOffset: string
}

const abortMarker = 0

/**
 * Which record batches hold committed data: control batches and those of aborted transactions are left out. Follows the
 * Java client (`CompletedFetch`): a producer's batches are skipped from the first offset of its aborted transaction to its
 * abort marker, whatever other producers do in between; brokers list the transactions in the order of their ends.
 */
export function committedBatches(
  set: Buffer,
  headers: readonly RecordBatchHeader[],
  aborted: readonly AbortedTransaction[],
): RecordBatchHeader[] {
  const upcoming = aborted
    .map(({ producerId, firstOffset }) => ({ producerId: BigInt(producerId), from: Number(firstOffset) }))
    .sort((a, b) => b.from - a.from)
  const abortedProducers = new Set<bigint>()
  return headers.filter((header) => {
    for (let next = upcoming.at(-1); next !== undefined && next.from <= header.lastOffset; ) {
      abortedProducers.add(next.producerId)
      upcoming.pop()
      next = upcoming.at(-1)
    }
    if (isControl(header)) {
      if (controlType(set, header) === abortMarker) abortedProducers.delete(header.producerId)
      return false
    }
    return !(isTransactional(header) && abortedProducers.has(header.producerId))
  })
}

/** The type in the key of a control batch's only record (key: version int16, type int16); −1 when it has none. */
function controlType(set: Buffer, header: RecordBatchHeader): number {
  let at = header.start + batchOverhead
  const skipVarint = () => {
    while ((set[at++] ?? 0) >= 128 && at < header.end);
  }
  skipVarint() // length
  at++ // attributes
  skipVarint() // timestamp delta
  skipVarint() // offset delta
  const keyLength = (set[at++] ?? 0) >>> 1
  return keyLength >= 4 && at + 4 <= header.end ? set.readInt16BE(at + 2) : -1
}
