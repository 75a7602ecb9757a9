import { Comparison, isClean, type SeenRecord, type Verdict } from './compare.ts'
import type { TopicReader } from './reader.ts'
import type { RecordTable } from './table.ts'

export interface Judgement {
  /** Who read the topics. */
  readonly judge: string
  readonly target: Verdict
  /** Records on the source that are not what was produced, or not there. */
  readonly sourceDiffering: number
  /** The source is what was produced, and the target is what it must be. */
  readonly clean: boolean
}

/** Reads source and target and holds both against what was produced. */
export async function judge(
  reader: TopicReader,
  topics: { readonly brokers: string; readonly source: string; readonly target: string },
  tables: readonly RecordTable[],
  signal?: AbortSignal,
): Promise<Judgement> {
  const comparison = new Comparison(tables)
  let [sourceRecords, sourceDiffering] = [0, 0]
  const { brokers, source, target } = topics
  await reader.read(
    brokers,
    [source, target],
    (topic, record) => {
      if (topic === 1) {
        comparison.add(record)
        return
      }
      sourceRecords++
      if (!isAsProduced(tables, record)) sourceDiffering++
    },
    signal,
  )
  const produced = tables.reduce((sum, table) => sum + table.size, 0)
  sourceDiffering += Math.max(0, produced - sourceRecords)
  const verdict = comparison.verdict()
  return {
    judge: reader.name,
    target: verdict,
    sourceDiffering,
    clean: isClean(verdict) && sourceDiffering === 0,
  }
}

function isAsProduced(tables: readonly RecordTable[], record: SeenRecord): boolean {
  const table = tables[record.partition]
  const row = table?.find(record.offset) ?? -1
  return table !== undefined && row >= 0 && table.differences(row, record).length === 0
}
