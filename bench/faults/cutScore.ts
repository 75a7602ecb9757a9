import { RecordTable } from '../judge/table.ts'
import type { Score } from './contract.ts'

/** The score of what lies below these offsets, by partition: all that a log which was closed there can hold. */
export function cutScore(score: Score, ends: readonly number[]): Score {
  const tables = score.tables.map((table, partition) => {
    const cut = new RecordTable()
    copyRows(table, cut, ends[partition] ?? 0)
    return cut
  })
  return scoreOf(score, tables, ends)
}

/** The score of a source that was cut back and then filled again by another load. */
export function continuedScore(before: Score, after: Score): Score {
  const tables = before.tables.map((table, partition) => {
    const [joined, added] = [new RecordTable(), after.tables[partition]]
    copyRows(table, joined, added === undefined || added.size === 0 ? Infinity : added.offsetAt(0))
    if (added !== undefined) copyRows(added, joined, Infinity)
    return joined
  })
  return scoreOf(before, tables, after.ends)
}

function copyRows(from: RecordTable, to: RecordTable, end: number): void {
  const size = from.firstFrom(end)
  for (let row = 0; row < size; row++) to.add(from.offsetAt(row), from.digestAt(row), from.fateAt(row))
}

function scoreOf(score: Score, tables: readonly RecordTable[], ends: readonly number[]): Score {
  const sum = (of: (table: RecordTable) => number): number =>
    tables.reduce((all, table) => all + of(table), 0)
  return {
    ...score,
    tables,
    ends,
    produced: sum(({ size }) => size),
    accepted: sum(({ accepted }) => accepted),
  }
}
