import { Counter, Histogram, type Registry } from 'prom-client'

export type TransactionOutcome = 'committed' | 'aborted' | 'unknown'

/** What the replay activities count. Without labels for replays or targets: people choose those. */
export interface ReplayMetrics {
  /** A page was committed to the target with its cursor. */
  pageCommitted(page: { readonly events: number; readonly scanned: number; readonly seconds: number }): void
  transaction(outcome: TransactionOutcome): void
  /** A lane was dropped after an unknown outcome and opened again. */
  laneRestarted(): void
}

export function createReplayMetrics(registry: Registry): ReplayMetrics {
  const registers = [registry]
  const events = new Counter({
    name: 'replay_events_total',
    help: 'Events committed to target topics',
    registers,
  })
  const scanned = new Counter({
    name: 'replay_scanned_total',
    help: 'Logged events looked at by replays, those that filters left out included',
    registers,
  })
  const pages = new Counter({
    name: 'replay_pages_total',
    help: 'Pages committed to target topics',
    registers,
  })
  const transactions = new Counter({
    name: 'replay_transactions_total',
    help: 'Kafka transactions of replays by outcome; unknown ones are looked up before anything goes on',
    labelNames: ['outcome'] as const,
    registers,
  })
  const restarts = new Counter({
    name: 'replay_lane_restarts_total',
    help: 'Producers dropped after an unknown outcome and opened again',
    registers,
  })
  const duration = new Histogram({
    name: 'replay_page_duration_seconds',
    help: 'From the first send of a page to its commit',
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 30],
    registers,
  })
  return {
    pageCommitted: (page) => {
      events.inc(page.events)
      scanned.inc(page.scanned)
      pages.inc()
      duration.observe(page.seconds)
    },
    transaction: (outcome) => transactions.inc({ outcome }),
    laneRestarted: () => restarts.inc(),
  }
}
