import type { ReplayStatus } from '../../src/domain/replay.ts'
import type { ReplayView } from '../../src/domain/replayView.ts'
import type { CopiedRange } from '../judge/compare.ts'
import type { Damage, Score } from './contract.ts'
import { addDamage } from './damage.ts'
import { judgeLog } from './judgeLog.ts'
import { type ExpectedReplay, judgeTargets } from './judgeTarget.ts'
import { receiptProblems } from './replays.ts'
import type { SourceLog } from './sourceLog.ts'
import type { Stage } from './stage.ts'

export interface ReplaysJudgement {
  readonly damage: Damage
  /** Records on the targets. */
  readonly events: number
  readonly problems: readonly string[]
}

export interface ReplaysExpectations {
  /** How replays may have ended beside completed. */
  readonly ends?: readonly ReplayStatus[]
  /** Of these the target is another topic now, which must hold nothing. */
  readonly goneTargets?: ReadonlySet<string>
}

/**
 * Reads everything back. A completed replay must have produced the whole log and have a true receipt; any other one that may
 * be must have produced exactly what its last cursors say, and say how many events that are.
 */
export async function judgeReplays(
  { context, ownerUrl, kafka }: Stage,
  { score }: SourceLog,
  ended: readonly ReplayView[],
  { ends = [], goneTargets = new Set() }: ReplaysExpectations = {},
): Promise<ReplaysJudgement> {
  const { reader, signal, say } = context
  say(`reading ${ended.length} replays back`)
  const log = await judgeLog(ownerUrl, score, {}, signal)
  const expected = ended.map((view) => expectedOf(view, score, goneTargets))
  const targets = await judgeTargets(reader, kafka.brokers, score, expected, signal)
  const views = ended.flatMap((view) =>
    view.status !== 'completed' && ends.includes(view.status)
      ? prefixProblems(view, score)
      : receiptProblems(view, score, log),
  )
  return {
    damage: addDamage(log.damage, targets.damage),
    events: targets.records,
    problems: [...log.problems, ...targets.problems, ...views],
  }
}

function expectedOf(view: ReplayView, score: Score, goneTargets: ReadonlySet<string>): ExpectedReplay {
  const { replayId, targetTopic, status } = view
  if (goneTargets.has(replayId)) return { replayId, targetTopic, ranges: [] }
  return status === 'completed'
    ? { replayId, targetTopic }
    : { replayId, targetTopic, ranges: prefixOf(view, score) }
}

/** What was committed, by source partition. */
function prefixOf({ logs }: ReplayView, { partitions }: Score): CopiedRange[] {
  return Array.from({ length: partitions }, (_, partition) => {
    const log = logs.find((candidate) => candidate.partition === partition)
    return log === undefined ? { from: 0, to: 0 } : { from: Number(log.from), to: Number(log.cursor) }
  })
}

/** What a replay that has not been completed says of itself and does not hold, in words. */
function prefixProblems(view: ReplayView, score: Score): string[] {
  const problems = view.receipt === undefined ? [] : [`${view.replayId} is ${view.status} and has a receipt`]
  for (const { partition, from, cursor, events } of view.logs) {
    const accepted = acceptedIn(score, partition, { from: Number(from), to: Number(cursor) })
    if (Number(events) !== accepted)
      problems.push(
        `${view.replayId} says ${events} events of partition ${partition} up to offset ${cursor}, but that are ${accepted}`,
      )
  }
  return problems
}

/** Records of a range that became events. */
function acceptedIn({ tables }: Score, partition: number, { from, to }: CopiedRange): number {
  const table = tables[partition]
  if (table === undefined) return 0
  let count = 0
  for (let row = table.firstFrom(from); row < table.firstFrom(to); row++) if (table.isAccepted(row)) count++
  return count
}
