import { Gauge, type Registry } from 'prom-client'
import type { LogState } from '../ports.ts'
import { createRefresh } from './scraped.ts'

/**
 * The logs as the database has them, so that a process that does not ingest shows them too. While the database does
 * not answer, the gauges hold nothing: a missing value must not look like a value.
 */
export function registerLogMetrics(registry: Registry, allLogs: () => Promise<readonly LogState[]>): void {
  const labelNames = ['topic', 'partition'] as const
  const nextOffset = new Gauge({
    name: 'log_next_offset',
    help: 'First source offset that the log has not taken yet, newest incarnation',
    labelNames,
    registers: [registry],
    collect: () => refresh(),
  })
  const size = new Gauge({
    name: 'log_size_leaves',
    help: 'Leaves in the log: events, dead letters and gaps, newest incarnation',
    labelNames,
    registers: [registry],
    collect: () => refresh(),
  })
  const lastIngested = new Gauge({
    name: 'log_last_ingested_timestamp_seconds',
    help: 'Ingestion time of the newest append, newest incarnation',
    labelNames,
    registers: [registry],
    collect: () => refresh(),
  })
  const refresh = createRefresh(allLogs, [], (logs) => {
    for (const gauge of [nextOffset, size, lastIngested]) gauge.reset()
    // Incarnations come in the order of their ids: the newest one is written last.
    for (const log of [...logs].sort((a, b) => a.logId - b.logId)) {
      const labels = { topic: log.identity.topic, partition: String(log.identity.partition) }
      nextOffset.set(labels, Number(log.position.nextOffset))
      size.set(labels, Number(log.position.size))
      if (log.lastIngestedAt !== null) lastIngested.set(labels, log.lastIngestedAt.getTime() / 1_000)
    }
  })
}
