import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import type { ErrorCode } from '../errors.ts'
import type { IngestObserver } from '../ingest/observer.ts'

/** Ingest's observer as Prometheus metrics. */
export function createIngestMetrics(registry: Registry): IngestObserver {
  const flow = flowMetrics(registry)
  const health = healthMetrics(registry)
  const waiting = new Map<string, string>()
  const closed = new Map<string, ErrorCode>()
  const reopen = (topic: string, partition: number): void => {
    const code = closed.get(`${topic} ${partition}`)
    if (code !== undefined) health.closed.remove({ topic, partition: String(partition), code })
    closed.delete(`${topic} ${partition}`)
  }
  const setWaiting: IngestObserver['waiting'] = (topic, partition, reason) => {
    const labels = { topic, partition: partition === null ? '' : String(partition) }
    const key = `${labels.topic} ${labels.partition}`
    const before = waiting.get(key)
    if (before !== undefined && before !== reason?.code) health.waiting.remove({ ...labels, code: before })
    if (reason === null) waiting.delete(key)
    else {
      waiting.set(key, reason.code)
      health.waiting.set({ ...labels, code: reason.code }, 1)
    }
  }
  return {
    appended: (report) => {
      const { topic } = report
      const partition = String(report.partition)
      flow.events.inc({ topic }, report.events)
      for (const [code, count] of report.deadLetters) flow.deadLetters.inc({ topic, code }, count)
      flow.batches.inc({ topic })
      flow.bytes.inc({ topic }, report.bytes)
      flow.duration.observe({ topic }, report.seconds)
      flow.nextOffset.set({ topic, partition }, Number(report.nextOffset))
      flow.lastIngested.set({ topic, partition }, report.ingestedAt.getTime() / 1_000)
    },
    lag: (topic, partition, offsets) =>
      flow.lag.set({ topic, partition: String(partition) }, Number(offsets)),
    gap: ({ topic, partition }, from, to) => {
      health.gaps.inc({ topic, partition: String(partition) })
      health.gapOffsets.inc({ topic, partition: String(partition) }, Number(to - from))
    },
    opened: reopen,
    released: (topic, partition) => {
      reopen(topic, partition)
      setWaiting(topic, partition, null)
      flow.lag.remove({ topic, partition: String(partition) })
    },
    closed: (topic, partition, code) => {
      closed.set(`${topic} ${partition}`, code)
      health.closed.set({ topic, partition: String(partition), code }, 1)
    },
    waiting: setWaiting,
  }
}

function flowMetrics(registry: Registry) {
  const registers = [registry]
  const perTopic = ['topic'] as const
  const perPartition = ['topic', 'partition'] as const
  return {
    events: new Counter({
      name: 'ingest_events_total',
      help: 'Events appended to the log',
      labelNames: perTopic,
      registers,
    }),
    deadLetters: new Counter({
      name: 'ingest_dead_letters_total',
      help: 'Source records that could not be accepted, by reason',
      labelNames: ['topic', 'code'] as const,
      registers,
    }),
    batches: new Counter({
      name: 'ingest_batches_total',
      help: 'Transactions that appended to the log',
      labelNames: perTopic,
      registers,
    }),
    bytes: new Counter({
      name: 'ingest_bytes_total',
      help: 'Bytes of keys, values and headers appended to the log',
      labelNames: perTopic,
      registers,
    }),
    duration: new Histogram({
      name: 'ingest_append_duration_seconds',
      help: 'From the first record decoded to the commit',
      labelNames: perTopic,
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10],
      registers,
    }),
    lag: new Gauge({
      name: 'ingest_lag_offsets',
      help: 'Offsets between the log and the end of its source partition, as of the newest batch',
      labelNames: perPartition,
      registers,
    }),
    nextOffset: new Gauge({
      name: 'ingest_next_offset',
      help: 'First source offset that the log has not taken yet',
      labelNames: perPartition,
      registers,
    }),
    lastIngested: new Gauge({
      name: 'ingest_last_ingested_timestamp_seconds',
      help: 'Ingestion time of the newest append',
      labelNames: perPartition,
      registers,
    }),
  }
}

function healthMetrics(registry: Registry) {
  const registers = [registry]
  const perPartition = ['topic', 'partition'] as const
  return {
    gaps: new Counter({
      name: 'ingest_gaps_total',
      help: 'Ranges of source offsets that Kafka no longer had',
      labelNames: perPartition,
      registers,
    }),
    gapOffsets: new Counter({
      name: 'ingest_gap_offsets_total',
      help: 'Source offsets that Kafka no longer had',
      labelNames: perPartition,
      registers,
    }),
    closed: new Gauge({
      name: 'ingest_closed_logs',
      help: '1 for a log that takes nothing more until an operator acts, by reason',
      labelNames: ['topic', 'partition', 'code'] as const,
      registers,
    }),
    waiting: new Gauge({
      name: 'ingest_waiting',
      help: '1 while ingest waits for a server or a topic, by reason; no partition: the whole topic',
      labelNames: ['topic', 'partition', 'code'] as const,
      registers,
    }),
  }
}
