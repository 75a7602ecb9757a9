/** A block of leaves some or all of which are away. */
import type { Hash } from '../model.ts'
import type { Away } from './detachedLeaves.ts'
import type { Finding } from './finding.ts'
import type { Progress } from './progress.ts'
import type { RowSheet } from './rowSheet.ts'

const DAY_MS = 86_400_000

/**
 * What may have gone away with the day that the record names: ingestion times never decrease along a log, so a leaf between rows of
 * another day was not of that one, whatever the record says. Null when nothing is left.
 */
export function ofTheirDays(
  progress: Progress,
  sheet: RowSheet,
  start: number,
  away: Away,
  latestMs: number,
): Away | null {
  let row = start
  let before = progress.ingestedMs
  const rowBefore = (leaf: bigint): boolean => row < sheet.count && (sheet.leafIndexes[row] as bigint) < leaf
  const runs = away.runs.filter(({ day, from, to }) => {
    for (; rowBefore(from); row++) before = Math.max(before, sheet.ingestedMs[row] as number)
    // The next row, if it is one of this block: a row of the next one comes no earlier than the block ends.
    const isNear = row < sheet.count && (sheet.leafIndexes[row] as bigint) >= to
    const behind = isNear ? Math.min(latestMs, sheet.ingestedMs[row] as number) : latestMs
    const dayMs = Date.parse(`${day}T00:00:00Z`)
    return dayMs <= behind && dayMs + DAY_MS > before
  })
  if (runs.length === away.runs.length) return away
  const places = new Map(
    [...away.places].filter(([place]) => {
      const leaf = progress.size + BigInt(place)
      return runs.some(({ from, to }) => leaf >= from && leaf < to)
    }),
  )
  return places.size === 0 ? null : { places, runs }
}

/** How the rows of a block lie around what is away: the row behind them; `more` when that is not read yet; null when it is not so. */
export function rowsAround(
  progress: Progress,
  sheet: RowSheet,
  start: number,
  count: number,
  { places }: Away,
  atEnd: boolean,
): number | 'more' | null {
  const latestMs = progress.head.lastIngestedMs ?? progress.head.createdMs
  let { endOffset, ingestedMs } = progress
  let row = start
  for (let place = 0; place < count; place++) {
    const leaf = progress.size + BigInt(place)
    const isHere = row < sheet.count && sheet.leafIndexes[row] === leaf
    if (places.has(place)) {
      // A row for a leaf whose table is gone is nobody's.
      if (isHere) return null
      continue
    }
    if (row === sheet.count && !atEnd) return 'more'
    if (!isHere || sheet.computed[row] !== sheet.stored[row] || sheet.differences[row] !== null) return null
    const time = sheet.ingestedMs[row] as number
    if ((sheet.offsets[row] as bigint) < endOffset || time < ingestedMs || time > latestMs) return null
    if (!Number.isInteger(time)) return null
    endOffset = sheet.ends[row] as bigint
    ingestedMs = time
    row++
  }
  return endOffset <= progress.head.nextOffset ? row : null
}

/** Leaf by leaf; null where neither a row nor the record says which it was. */
export function leavesAround(
  sheet: RowSheet,
  start: number,
  count: number,
  { places }: Away,
): (Hash | null)[] {
  let row = start
  return Array.from({ length: count }, (_, place) => {
    const hash = places.get(place)
    return hash === undefined ? (sheet.computed[row++] as Hash) : hash
  })
}

/**
 * Rows beside leaves that are away, and checkpoints among these, can be held against the tree only with the hashes that were
 * written down when the day was detached: a record without them is not whole.
 */
export function unshown({ places }: Away, base: bigint, count: number, ends: boolean): readonly Finding[] {
  const unknown = [...places].filter(([, hash]) => hash === null).map(([place]) => place)
  const [first] = unknown
  if (first === undefined || (unknown.length === count && !ends)) return []
  return [
    {
      kind: 'node',
      leafIndex: String(base + BigInt(first)),
      offset: null,
      count: '1',
      column: 'hashes',
      detail: `the record of the detached leaves lacks the hashes of ${unknown.length} of the block from leaf ${base}: what lies beside them cannot be shown`,
    },
  ]
}
