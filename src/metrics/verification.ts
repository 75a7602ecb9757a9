import { Counter, Gauge, type Registry } from 'prom-client'
import type { FindingCounts } from '../domain/verification/finding.ts'
import type { LastVerdict } from '../ports.ts'
import { inTime } from './scraped.ts'

/** What verifications count in the process that does the work. */
export interface VerificationMetrics {
  leavesVerified(leaves: number): void
  logVerified(verdict: 'intact' | 'damaged', found: FindingCounts): void
}

export function createVerificationMetrics(registry: Registry): VerificationMetrics {
  const registers = [registry]
  const leaves = new Counter({
    name: 'verification_leaves_total',
    help: 'Leaves of logs that were derived again and compared',
    registers,
  })
  const logs = new Counter({
    name: 'verification_logs_total',
    help: 'Logs verified to their end, by verdict',
    labelNames: ['verdict'] as const,
    registers,
  })
  const findings = new Counter({
    name: 'verification_findings_total',
    help: 'What verifications found, by kind',
    labelNames: ['kind'] as const,
    registers,
  })
  return {
    leavesVerified: (count) => leaves.inc(count),
    logVerified: (verdict, found) => {
      logs.inc({ verdict })
      for (const [kind, count] of Object.entries(found)) findings.inc({ kind }, Number(count))
    },
  }
}

type Last = LastVerdict | null
type LastFinished = () => Promise<Last>

/**
 * The newest verdict as the database has it. While the database does not answer, or nothing was ever verified, the gauges
 * hold nothing: a missing value must not look like a value.
 */
export function registerVerdictMetrics(registry: Registry, lastFinished: LastFinished): void {
  // Metrics of a scrape are collected side by side: one question serves all of them.
  let asked: Promise<Last> | null = null
  const last = (): Promise<Last> => {
    asked ??= inTime(lastFinished, null).finally(() => {
      asked = null
    })
    return asked
  }
  const show = async (gauge: Gauge, measure: (found: NonNullable<Last>) => number): Promise<void> => {
    const found = await last()
    if (found === null) gauge.remove()
    else gauge.set(measure(found))
  }
  const damaged: Gauge = new Gauge({
    name: 'verification_last_damaged',
    help: '1 when the newest verification of logs that came to a verdict found damage, else 0',
    registers: [registry],
    collect: () => show(damaged, (found) => (found.damaged ? 1 : 0)),
  })
  const logs: Gauge = new Gauge({
    name: 'verification_damaged_logs',
    help: 'Logs of which the newest verdict is that they are damaged, whichever verification came to it',
    registers: [registry],
    collect: () => show(logs, (found) => found.damagedLogs),
  })
  const finished: Gauge = new Gauge({
    name: 'verification_last_finished_timestamp_seconds',
    help: 'When the newest verification of logs came to a verdict',
    registers: [registry],
    collect: () => show(finished, (found) => found.finishedAt.getTime() / 1_000),
  })
}
