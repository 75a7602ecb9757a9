import { Counter, Gauge, type Registry } from 'prom-client'
import type { FindingCounts } from '../domain/verification/finding.ts'

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

type LastFinished = () => Promise<{ readonly damaged: boolean; readonly finishedAt: Date } | null>

/** Longest that a scrape waits for the database, in milliseconds. */
const timeoutMs = 2_000

/**
 * The newest verdict as the database has it. While the database does not answer, or nothing was ever verified, the gauges
 * hold nothing: a missing value must not look like a value.
 */
export function registerVerdictMetrics(registry: Registry, lastFinished: LastFinished): void {
  const damaged = new Gauge({
    name: 'verification_last_damaged',
    help: '1 when the newest verification of logs that came to a verdict found damage, else 0',
    registers: [registry],
    collect: () => refresh(),
  })
  const finished = new Gauge({
    name: 'verification_last_finished_timestamp_seconds',
    help: 'When the newest verification of logs came to a verdict',
    registers: [registry],
  })
  async function refresh(): Promise<void> {
    const last = await Promise.race([lastFinished().catch(() => null), late()])
    damaged.reset()
    finished.reset()
    if (last === null) {
      damaged.remove()
      finished.remove()
      return
    }
    damaged.set(last.damaged ? 1 : 0)
    finished.set(last.finishedAt.getTime() / 1_000)
  }
}

const late = (): Promise<null> => new Promise((resolve) => setTimeout(() => resolve(null), timeoutMs).unref())
