import { Registry } from 'prom-client'
import { describe, expect, test } from 'vitest'
import { leafIndex, logId, offset } from '../../src/domain/model.ts'
import { registerCheckpointMetrics } from '../../src/metrics/checkpoints.ts'
import { registerLogMetrics } from '../../src/metrics/logs.ts'
import { createMetrics } from '../../src/metrics/metrics.ts'
import { registerVerdictMetrics } from '../../src/metrics/verification.ts'
import type { CheckpointStanding, LastVerdict, LogState } from '../../src/ports.ts'

const lines = (text: string, name: string): string[] =>
  text.split('\n').filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))

test('ingest counts events, dead letters by reason, bytes, batches, lag and the newest ingestion', async () => {
  const metrics = createMetrics()
  for (let i = 0; i < 2; i++)
    metrics.ingest.appended({
      topic: 'events',
      partition: 1,
      events: 10,
      deadLetters: new Map([
        ['SCHEMA', 2],
        ['TOO_LARGE', 1],
      ]),
      bytes: 4_000,
      seconds: 0.02,
      nextOffset: offset(99n),
      ingestedAt: new Date(5_000),
    })
  metrics.ingest.lag('events', 1, 7n)
  metrics.ingest.gap({ topic: 'events', partition: 1, topicId: 'x' }, offset(5n), offset(8n))
  metrics.ingest.closed('events', 0, 'TOPIC_RECREATED', 'made again')
  const text = await metrics.text()
  expect(lines(text, 'ingest_events_total')).toEqual(['ingest_events_total{topic="events"} 20'])
  expect(lines(text, 'ingest_dead_letters_total')).toEqual([
    'ingest_dead_letters_total{topic="events",code="SCHEMA"} 4',
    'ingest_dead_letters_total{topic="events",code="TOO_LARGE"} 2',
  ])
  expect(lines(text, 'ingest_bytes_total')).toEqual(['ingest_bytes_total{topic="events"} 8000'])
  expect(lines(text, 'ingest_batches_total')).toEqual(['ingest_batches_total{topic="events"} 2'])
  expect(lines(text, 'ingest_append_duration_seconds_count')).toEqual([
    'ingest_append_duration_seconds_count{topic="events"} 2',
  ])
  expect(lines(text, 'ingest_lag_offsets')).toEqual(['ingest_lag_offsets{topic="events",partition="1"} 7'])
  expect(lines(text, 'ingest_last_ingested_timestamp_seconds')).toEqual([
    'ingest_last_ingested_timestamp_seconds{topic="events",partition="1"} 5',
  ])
  expect(lines(text, 'ingest_gap_offsets_total')).toEqual([
    'ingest_gap_offsets_total{topic="events",partition="1"} 3',
  ])
  expect(lines(text, 'ingest_closed_logs')).toEqual([
    'ingest_closed_logs{topic="events",partition="0",code="TOPIC_RECREATED"} 1',
  ])
})

test('waiting shows the present reason only, and nothing once it goes on', async () => {
  const metrics = createMetrics()
  const wait = (code: 'DATABASE_UNAVAILABLE' | 'KAFKA_UNAVAILABLE') =>
    metrics.ingest.waiting('events', 0, { code, detail: '' })
  wait('DATABASE_UNAVAILABLE')
  wait('KAFKA_UNAVAILABLE')
  metrics.ingest.waiting('events', null, { code: 'UNKNOWN_TOPIC', detail: '' })
  expect(lines(await metrics.text(), 'ingest_waiting')).toEqual([
    'ingest_waiting{topic="events",partition="0",code="KAFKA_UNAVAILABLE"} 1',
    'ingest_waiting{topic="events",partition="",code="UNKNOWN_TOPIC"} 1',
  ])
  metrics.ingest.waiting('events', 0, null)
  metrics.ingest.waiting('events', null, null)
  expect(lines(await metrics.text(), 'ingest_waiting')).toEqual([])
})

test('replay counts pages, events, transactions and lanes opened again', async () => {
  const metrics = createMetrics()
  metrics.replay.pageCommitted({ events: 5, scanned: 9, seconds: 0.01 })
  metrics.replay.transaction('committed')
  metrics.replay.transaction('unknown')
  metrics.replay.laneRestarted()
  const text = await metrics.text()
  expect(lines(text, 'replay_events_total')).toEqual(['replay_events_total 5'])
  expect(lines(text, 'replay_scanned_total')).toEqual(['replay_scanned_total 9'])
  expect(lines(text, 'replay_pages_total')).toEqual(['replay_pages_total 1'])
  expect(lines(text, 'replay_transactions_total')).toEqual([
    'replay_transactions_total{outcome="committed"} 1',
    'replay_transactions_total{outcome="unknown"} 1',
  ])
  expect(lines(text, 'replay_lane_restarts_total')).toEqual(['replay_lane_restarts_total 1'])
})

test('a method that nobody knows makes no series of its own', async () => {
  const metrics = createMetrics()
  metrics.http.answered({ method: 'BREW', route: 'unmatched', status: 404, seconds: 0.1 })
  expect(await metrics.text()).toContain(
    'http_requests_total{method="OTHER",route="unmatched",status="404"} 1',
  )
})

test("verifications count leaves, verdicts and findings; the last verdict is the database's", async () => {
  const metrics = createMetrics()
  metrics.verification.leavesVerified(1_000)
  metrics.verification.logVerified('damaged', { missing: '3', 'altered-column': '1' })
  metrics.verification.logVerified('intact', {})
  let last: LastVerdict | null = { damaged: true, finishedAt: new Date(5_000), damagedLogs: 2 }
  registerVerdictMetrics(metrics.registry, async () => last)
  const text = await metrics.text()
  expect(lines(text, 'verification_leaves_total')).toEqual(['verification_leaves_total 1000'])
  expect(lines(text, 'verification_logs_total')).toEqual([
    'verification_logs_total{verdict="damaged"} 1',
    'verification_logs_total{verdict="intact"} 1',
  ])
  expect(lines(text, 'verification_findings_total')).toEqual([
    'verification_findings_total{kind="missing"} 3',
    'verification_findings_total{kind="altered-column"} 1',
  ])
  expect(lines(text, 'verification_last_damaged')).toEqual(['verification_last_damaged 1'])
  expect(lines(text, 'verification_damaged_logs')).toEqual(['verification_damaged_logs 2'])
  expect(lines(text, 'verification_last_finished_timestamp_seconds')).toEqual([
    'verification_last_finished_timestamp_seconds 5',
  ])
  last = null
  const none = await metrics.text()
  expect(lines(none, 'verification_last_damaged')).toEqual([])
  expect(lines(none, 'verification_damaged_logs')).toEqual([])
  expect(lines(none, 'verification_last_finished_timestamp_seconds')).toEqual([])
})

describe('the logs', () => {
  const log = (id: number, nextOffset: bigint): LogState => ({
    logId: logId(id),
    identity: { topic: 'events', partition: 0, topicId: String(id) },
    incarnation: id,
    startOffset: offset(0n),
    position: { nextOffset: offset(nextOffset), size: leafIndex(nextOffset - 1n), frontier: [] },
    leaderEpoch: 0,
    lastIngestedAt: null,
  })

  test('are shown by their newest incarnation, asked for once a scrape', async () => {
    const registry = new Registry()
    let asked = 0
    registerLogMetrics(registry, async () => {
      asked += 1
      return [log(2, 10n), log(1, 500n)]
    })
    const text = await registry.metrics()
    expect(lines(text, 'log_next_offset')).toEqual(['log_next_offset{topic="events",partition="0"} 10'])
    expect(lines(text, 'log_size_leaves')).toEqual(['log_size_leaves{topic="events",partition="0"} 9'])
    expect(lines(text, 'log_last_ingested_timestamp_seconds')).toEqual([])
    expect(asked).toBe(1)
  })

  test('show nothing, rather than something old, while the database does not answer', async () => {
    const registry = new Registry()
    registerLogMetrics(registry, () => Promise.reject(new Error('down')))
    expect(lines(await registry.metrics(), 'log_next_offset')).toEqual([])
  })
})

describe('the checkpoints of the database', () => {
  const standings = new Map<string, CheckpointStanding>([
    ['stopped', { newest: { id: 'x', createdAt: new Date(0), ageMs: 7_200_500 }, uncovered: 12n }],
    ['never', { newest: null, uncovered: 3n }],
  ])
  const shown = async (standingOf: (topic: string) => Promise<CheckpointStanding>) => {
    const metrics = createMetrics()
    registerCheckpointMetrics(metrics.registry, [...standings.keys()], standingOf)
    const text = await metrics.text()
    return [lines(text, 'checkpoint_newest_age_seconds'), lines(text, 'checkpoint_uncovered_leaves')]
  }

  test('by topic: how old the newest is, if there is one, and what none covers', async () => {
    const asked: string[] = []
    const found = await shown(async (topic) => {
      asked.push(topic)
      return standings.get(topic) ?? Promise.reject(new Error(topic))
    })
    expect(found).toEqual([
      ['checkpoint_newest_age_seconds{topic="stopped"} 7200.5'],
      ['checkpoint_uncovered_leaves{topic="stopped"} 12', 'checkpoint_uncovered_leaves{topic="never"} 3'],
    ])
    // One look serves both gauges.
    expect(asked).toEqual(['stopped', 'never'])
  })

  test('hold nothing when the database is away or too slow', async () => {
    expect(await shown(() => Promise.reject(new Error('away')))).toEqual([[], []])
    expect(await shown(() => new Promise(() => undefined))).toEqual([[], []])
  })
})
