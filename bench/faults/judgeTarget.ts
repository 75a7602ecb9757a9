import { Comparison, type CopiedRange, type SeenRecord, type Verdict } from '../judge/compare.ts'
import { digestText } from '../judge/digest.ts'
import type { TopicReader } from '../judge/reader.ts'
import type { Damage, Score } from './contract.ts'
import { addDamage, noDamage } from './damage.ts'

/** A replay, and what of its source it must have produced. */
export interface ExpectedReplay {
  readonly replayId: string
  /** Several may have gone into one topic; each is judged for itself. */
  readonly targetTopic: string
  /**
   * By source partition: exactly these offsets and nothing else, as the final cursors of a cancelled replay say;
   * everything when left out.
   */
  readonly ranges?: readonly CopiedRange[] | undefined
}

export interface ReplayJudgement {
  readonly replayId: string
  readonly records: number
  readonly damage: Damage
  /** The first few damaged records, in words. */
  readonly examples: readonly string[]
}

export interface TargetJudgement {
  /** Of all replays together, and of the source. */
  readonly damage: Damage
  readonly records: number
  readonly replays: readonly ReplayJudgement[]
  /** In words: whatever was damaged, by replay. */
  readonly problems: readonly string[]
}

/**
 * Reads source and targets through Kafka's own Java consumer, read_committed and to their ends, and holds every replay
 * against the score. Records on a target that belong to no expected replay count as doubled. `starts`: by partition, where
 * the source begins because Kafka has deleted what came before; 0 when left out.
 */
export async function judgeTargets(
  reader: TopicReader,
  brokers: string,
  score: Score,
  replays: readonly ExpectedReplay[],
  signal: AbortSignal,
  starts: readonly number[] = [],
): Promise<TargetJudgement> {
  const source = new SourceCheck(score, starts)
  const targets = [...new Set(replays.map(({ targetTopic }) => targetTopic))]
  const checks = replays.map((replay) => ({
    replay,
    comparison: new Comparison(score.tables, { ranges: replay.ranges, sourceTopic: score.topic }),
  }))
  const byTarget = targets.map(
    (target) =>
      new Map(
        checks
          .filter(({ replay }) => replay.targetTopic === target)
          .map(({ replay, comparison }) => [digestText(replay.replayId), comparison]),
      ),
  )
  let [records, foreign] = [0, 0]
  await reader.read(
    brokers,
    [score.topic, ...targets],
    (topic, record) => {
      if (topic === 0) {
        source.add(record)
        return
      }
      records++
      const comparison = byTarget[topic - 1]?.get(record.replay)
      if (comparison === undefined) foreign++
      else comparison.add(record)
    },
    signal,
  )
  const judged = checks.map(({ replay, comparison }) => judgementOf(replay, comparison.verdict()))
  const damage = judged.reduce((sum, one) => addDamage(sum, one.damage), {
    ...noDamage,
    doubled: foreign,
  })
  return {
    damage,
    records,
    replays: judged,
    problems: [
      ...source.problems(),
      ...(foreign > 0 ? [`${foreign} records on the targets belong to no replay`] : []),
      ...judged.flatMap(({ replayId, examples }) => examples.map((example) => `${replayId}: ${example}`)),
    ],
  }
}

/** Only the source: that it is what the score says. Returns what is not, in words. */
export async function judgeSource(
  reader: TopicReader,
  brokers: string,
  score: Score,
  signal: AbortSignal,
  starts: readonly number[] = [],
): Promise<readonly string[]> {
  return (await judgeTargets(reader, brokers, score, [], signal, starts)).problems
}

function judgementOf({ replayId }: ExpectedReplay, verdict: Verdict): ReplayJudgement {
  return { replayId, records: verdict.records, damage: damageOf(verdict), examples: verdict.examples }
}

/** A copy of nothing is one too many; a record on another partition is not what it was. */
export const damageOf = (verdict: Verdict): Damage => ({
  lost: verdict.missing,
  doubled: verdict.doubled + verdict.foreign,
  reordered: verdict.outOfOrder,
  altered: verdict.bytesDiffering + verdict.misplaced,
})

/** The score itself must be true, or nothing that is held against it means anything. */
class SourceCheck {
  readonly #score: Score
  readonly #next: number[]
  #differing = 0

  constructor(score: Score, starts: readonly number[]) {
    this.#score = score
    this.#next = score.tables.map((table, partition) => table.firstFrom(starts[partition] ?? 0))
  }

  add(record: SeenRecord): void {
    const table = this.#score.tables[record.partition]
    const row = this.#next[record.partition] ?? 0
    this.#next[record.partition] = row + 1
    const asScored = table?.offsetAt(row) === record.offset && table.differences(row, record).length === 0
    if (!asScored) this.#differing++
  }

  problems(): string[] {
    const missing = this.#score.tables.reduce(
      (sum, table, partition) => sum + Math.max(0, table.size - (this.#next[partition] ?? 0)),
      0,
    )
    const texts = []
    if (missing > 0) texts.push(`${missing} records are missing on the source: the load itself is at fault`)
    if (this.#differing > 0)
      texts.push(`${this.#differing} records on the source are not as scored: the load itself is at fault`)
    return texts
  }
}
