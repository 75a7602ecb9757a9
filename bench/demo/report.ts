import type { ReplayView } from '../../src/domain/replayView.ts'
import type { Judgement } from '../judge/judge.ts'
import type { LogCheck } from '../judge/logCheck.ts'
import { formatCount, formatRate, formatSeconds } from '../run/say.ts'
import type { Filled } from '../source/fill.ts'
import type { KilledReplay } from './replayWithKill.ts'

/** Everything that a demo has found out. */
export interface DemoResult {
  readonly filled: Filled
  readonly ingestEventsPerSecond: number
  readonly checkpoint: { readonly id: string; readonly leaves: number }
  readonly killed: KilledReplay
  readonly log: LogCheck
  readonly judgement: Judgement
  readonly seconds: number
}

/** What does not hold, in words; empty when everything does. */
export function problemsOf({ filled, checkpoint, killed, log, judgement }: DemoResult): string[] {
  const { target } = judgement
  const must: readonly (readonly [string, number])[] = [
    ['missing on the target', target.missing],
    ['doubled on the target', target.doubled],
    ['out of order on the target', target.outOfOrder],
    ['with other bytes on the target', target.bytesDiffering],
    ['on another partition of the target', target.misplaced],
    ['foreign on the target', target.foreign],
    ['not as produced on the source', judgement.sourceDiffering],
    ['unaccounted for in the log', log.unaccounted],
    ['with other bytes or another verdict in the log', log.differing],
  ]
  const problems = must
    .filter(([, count]) => count > 0)
    .map(([what, count]) => `${formatCount(count)} records ${what}`)
  if (log.brokenLogs > 0) problems.push(`${log.brokenLogs} logs are not dense or not where they should be`)
  if (log.gaps > 0) problems.push(`${log.gaps} gaps in the log`)
  if (checkpoint.leaves !== filled.produced)
    problems.push(`the checkpoint covers ${checkpoint.leaves} records, not ${filled.produced}`)
  for (const code of new Set([...filled.deadLetters.keys(), ...log.deadLetters.keys()] as string[])) {
    const expected = new Map<string, number>(filled.deadLetters).get(code) ?? 0
    const found = log.deadLetters.get(code) ?? 0
    if (expected !== found) problems.push(`${found} dead letters ${code} instead of ${expected}`)
  }
  problems.push(...receiptProblems(killed.replay, filled.accepted))
  return [...problems, ...target.examples, ...log.examples]
}

function receiptProblems({ receipt }: ReplayView, accepted: number): string[] {
  if (receipt === undefined) return ['the replay has no receipt']
  if (Number(receipt.events) === accepted) return []
  return [`the receipt says ${receipt.events} events instead of ${accepted}`]
}

type Line = readonly [label: string, value: string] | null

/** The table at the end. */
export function formatReport(result: DemoResult): string {
  const { filled, killed, judgement, checkpoint } = result
  const { target } = judgement
  const refused = filled.produced - filled.accepted
  const reasons = [...result.log.deadLetters].sort(([, a], [, b]) => b - a)
  const lines: readonly Line[] = [
    ['Events in', `${formatCount(filled.produced)} records on ${filled.tables.length} partitions`],
    ['', `${formatCount(filled.compressedBatches)} batches compressed (gzip, snappy, lz4, zstd)`],
    ['Accepted', formatCount(filled.accepted)],
    ['Dead letters', formatCount(refused)],
    ...reasons.map(([code, count]): Line => ['', `${formatCount(count).padStart(7)}  ${code}`]),
    ['Ingest', `${formatRate(result.ingestEventsPerSecond)}, from the first row to the last`],
    ['Checkpoint', `${checkpoint.id}, ${formatCount(checkpoint.leaves)} records`],
    null,
    ['Replay', `${formatRate(killed.eventsPerSecond)}, without the outage`],
    [
      'Worker killed',
      `${killed.kills} × kill -9, at ${formatCount(killed.killedAt)} of ${formatCount(filled.accepted)}`,
    ],
    ['Resumed', `${formatSeconds(killed.resumeSeconds)} after the kill`],
    null,
    ['On the target', `${formatCount(target.records)} records`],
    ['  missing', formatCount(target.missing)],
    ['  doubled', formatCount(target.doubled)],
    ['  out of order', formatCount(target.outOfOrder)],
    ['  bytes differing', `${formatCount(target.bytesDiffering)} (keys, values, headers, timestamps)`],
    ['  foreign', formatCount(target.foreign + target.misplaced)],
    ['Judge', judgement.judge],
    ['Took', formatSeconds(result.seconds)],
  ]
  return lines.map((line) => (line === null ? '' : `  ${line[0].padEnd(18)}${line[1]}`)).join('\n')
}

/** The one object of `--json`. */
export function toJson(result: DemoResult, problems: readonly string[]): Record<string, unknown> {
  const { filled, killed, judgement, log } = result
  const { target } = judgement
  return {
    ok: problems.length === 0,
    problems,
    events: filled.produced,
    accepted: filled.accepted,
    deadLetters: filled.produced - filled.accepted,
    deadLettersByCode: Object.fromEntries(log.deadLetters),
    missing: target.missing,
    doubled: target.doubled,
    outOfOrder: target.outOfOrder,
    bytesDiffering: target.bytesDiffering,
    misplaced: target.misplaced,
    foreign: target.foreign,
    judge: judgement.judge,
    kills: killed.kills,
    killedAt: killed.killedAt,
    resumeSeconds: round(killed.resumeSeconds),
    ingestEventsPerSecond: Math.round(result.ingestEventsPerSecond),
    replayEventsPerSecond: Math.round(killed.eventsPerSecond),
    seconds: round(result.seconds),
  }
}

const round = (value: number): number => Math.round(value * 100) / 100
