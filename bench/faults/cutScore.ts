import { RecordTable } from '../judge/table.ts'
import type { Score } from './contract.ts'

/** The score of what lies below these offsets, by partition: all that a log which was closed there can hold. */
export function cutScore(score: Score, ends: readonly number[]): Score {
  const tables = score.tables.map((table, partition) => {
    const cut = new RecordTable()
    const size = table.firstFrom(ends[partition] ?? 0)
    for (let row = 0; row < size; row++) cut.add(table.offsetAt(row), table.digestAt(row), table.fateAt(row))
    return cut
  })
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
