import type { AdoptionReport, RecoveryReport } from '../../src/domain/archive/recoveryView.ts'
import type { ArchiveView } from '../../src/domain/archive/view.ts'
import type { ReplayView } from '../../src/domain/replayView.ts'
import type { VerificationView } from '../../src/domain/verification/view.ts'
import type { Judgement } from '../judge/judge.ts'
import type { LogCheck } from '../judge/logCheck.ts'
import { formatCount, formatSeconds } from '../run/say.ts'
import type { Filled } from '../source/fill.ts'

export interface Phase {
  readonly name: string
  readonly seconds: number
}

/** What a log's row said, by partition. */
export interface LogHead {
  readonly partition: number
  readonly size: string
  readonly nextOffset: string
  readonly frontier: string
}

/** Everything that a drill has found out. */
export interface DrillResult {
  readonly filled: Filled
  readonly archive: ArchiveView
  readonly recovery: RecoveryReport
  readonly adoption: AdoptionReport
  /** Before the disaster, and when ingest had caught up after it. */
  readonly before: readonly LogHead[]
  readonly after: readonly LogHead[]
  /** Output of `pnpm evidence audit`. */
  readonly audit: { readonly code: number; readonly text: string }
  readonly verification: VerificationView
  readonly replay: ReplayView
  readonly log: LogCheck
  readonly judgement: Judgement
  readonly phases: readonly Phase[]
  readonly notes: number
  readonly seconds: number
}

/** What does not hold, in words; empty when everything does. */
export function problemsOfDrill(result: DrillResult): string[] {
  const { filled, archive, recovery, before, after, audit, verification, replay, log, judgement } = result
  const { target } = judgement
  const problems: string[] = []
  const must = (holds: boolean, problem: string): void => {
    if (!holds) problems.push(problem)
  }
  must(archive.status === 'verified', `the archive is ${archive.status}`)
  must(recovery.complete, 'the recovery says that something is lost')
  must(result.adoption.complete, 'not every note is borne out')
  must(recovery.logs.length === filled.tables.length, `${recovery.logs.length} logs were recovered`)
  for (const { origin, leaves, provenTo, reclassified } of recovery.logs) {
    must(
      provenTo === leaves,
      `${origin} has ${leaves} leaves, of which ${provenTo ?? 'none'} are proven by notes`,
    )
    must(reclassified === '0', `${origin}: ${reclassified} events are dead letters now`)
  }
  must(
    JSON.stringify(before) === JSON.stringify(after),
    'the logs do not stand where they stood, with the same trees',
  )
  must(
    audit.code === 0,
    `the audit against the notes ended with ${audit.code}: ${audit.text.trim().slice(-500)}`,
  )
  must(verification.status === 'intact', `the verification says ${verification.status}`)
  must(
    Number(replay.receipt?.events ?? -1) === filled.accepted,
    `the receipt says ${replay.receipt?.events} events instead of ${filled.accepted}`,
  )
  must(judgement.clean, 'the target or the source is not what it must be')
  for (const [what, count] of [
    ['missing on the target', target.missing],
    ['doubled on the target', target.doubled],
    ['out of order on the target', target.outOfOrder],
    ['with other bytes on the target', target.bytesDiffering],
    ['unaccounted for in the log', log.unaccounted],
    ['with other bytes or another verdict in the log', log.differing],
    ['lying in gaps of the log', log.gaps],
  ] as const)
    must(count === 0, `${formatCount(count)} records ${what}`)
  must(log.brokenLogs === 0, `${log.brokenLogs} logs are not dense or not where they should be`)
  return [...problems, ...target.examples, ...log.examples]
}

/** The table at the end. */
export function formatDrill(result: DrillResult): string {
  const { filled, archive, recovery, judgement, notes, phases } = result
  const sum = (of: (log: RecoveryReport['logs'][number]) => string): number =>
    recovery.logs.reduce((total, log) => total + Number(of(log)), 0)
  const fromArchive = sum(({ leaves }) => leaves)
  const lines: readonly (readonly [string, string])[] = [
    ['Records', `${formatCount(filled.produced)} on ${filled.tables.length} partitions`],
    ['Archived', `${formatCount(Number(archive.progress.leaves))} in ${archive.progress.files} files`],
    ['Notes elsewhere', formatCount(notes)],
    ['Recovered', `${formatCount(fromArchive)} from the archive, up to the roots of the notes`],
    ['', `${formatCount(filled.produced - fromArchive)} from Kafka, up to the roots of the notes`],
    ['Replayed', `${formatCount(judgement.target.records)}, judged by ${judgement.judge}`],
    ['', ''],
    ...phases.map(({ name, seconds }) => [name, formatSeconds(seconds).padStart(8)] as const),
    ['All of it', formatSeconds(result.seconds).padStart(8)],
  ]
  return lines.map(([label, value]) => `  ${label.padEnd(24)}${value}`.trimEnd()).join('\n')
}

/** The one object of `--json`. */
export function toDrillJson(result: DrillResult, problems: readonly string[]): Record<string, unknown> {
  const { filled, recovery, judgement, phases, seconds } = result
  return {
    ok: problems.length === 0,
    problems,
    events: filled.produced,
    archived: Number(result.archive.progress.leaves),
    recovered: recovery.logs.reduce((total, { leaves }) => total + Number(leaves), 0),
    missing: judgement.target.missing,
    doubled: judgement.target.doubled,
    outOfOrder: judgement.target.outOfOrder,
    bytesDiffering: judgement.target.bytesDiffering,
    notes: result.notes,
    phases: Object.fromEntries(phases.map((phase) => [phase.name, round(phase.seconds)])),
    seconds: round(seconds),
  }
}

const round = (value: number): number => Math.round(value * 100) / 100
