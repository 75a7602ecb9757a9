import { formatCount, formatSeconds } from '../run/say.ts'
import type { Latencies } from './latencies.ts'
import type { Ledger } from './ledger.ts'
import type { LoadOptions } from './options.ts'

export interface LoadResult {
  readonly options: LoadOptions
  readonly ledger: Ledger
  readonly sent: number
  readonly startedMs: number
  /** When the last batch was acknowledged. */
  readonly endedMs: number
  readonly interrupted: boolean
}

/** The last event must be in the log this soon after the last was due, or two hundredths of the run, if that is more. */
const slackMs = 1_000
const slackShare = 0.02

/** Why the target did not hold; empty when it did. */
export function problemsOf({ options, ledger, startedMs, interrupted }: LoadResult): string[] {
  const total = options.eventsPerSecond * options.seconds
  const dueMs = startedMs + options.seconds * 1000
  const limitMs = dueMs + Math.max(slackMs, options.seconds * 1000 * slackShare)
  const problems: string[] = []
  if (interrupted) problems.push('it was interrupted')
  if (ledger.acknowledged < total) problems.push(`only ${formatCount(ledger.acknowledged)} were produced`)
  if (ledger.committed === 0) problems.push(`nobody ingests the topic ${options.topic}`)
  else if (ledger.committed < total)
    problems.push(`only ${formatCount(ledger.committed)} were committed to the log`)
  else if (ledger.lastCommitMs > limitMs)
    problems.push(`the log was ${formatSeconds((ledger.lastCommitMs - dueMs) / 1000)} behind at the end`)
  return problems
}

export function formatLoad(result: LoadResult): string {
  const { options, ledger, startedMs, endedMs } = result
  const rate = (events: number, untilMs: number): string =>
    events === 0 ? '0' : formatCount(events / ((untilMs - startedMs) / 1000))
  const commits = rate(ledger.committed, ledger.lastCommitMs)
  return [
    ['Target', `${formatCount(options.eventsPerSecond)} events/s for ${options.seconds} s`],
    ['Produced', `${formatCount(ledger.acknowledged)}, ${rate(ledger.acknowledged, endedMs)} events/s`],
    ['Committed', `${formatCount(ledger.committed)}, ${commits} events/s`],
    ['Latency', 'from the moment at which a batch was due'],
    ['  acknowledged', formatLatencies(ledger.acknowledgement)],
    ['  committed', formatLatencies(ledger.commit)],
  ]
    .map(([label = '', value = '']) => `  ${label.padEnd(16)}${value}`)
    .join('\n')
}

function formatLatencies(latencies: Latencies): string {
  if (latencies.count === 0) return 'none'
  const values = latencies.percentiles([0.5, 0.9, 0.99, 1])
  return ['p50', 'p90', 'p99', 'max']
    .map((name, index) => `${name} ${values[index]?.toFixed(1)} ms`)
    .join('   ')
}
