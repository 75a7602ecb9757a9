import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, expect, test } from 'vitest'
import { createHealthApp } from '../../src/api/app.ts'
import { createReadiness, databaseProbe, pingProbe } from '../../src/api/health.ts'
import { serve } from '../../src/api/server.ts'
import { ServiceError } from '../../src/errors.ts'
import { createLogger } from '../../src/logger.ts'
import { createMetrics } from '../../src/metrics/metrics.ts'
import { type Edge, startEdge } from './edge.ts'

let edge: Edge | null = null
afterEach(() => edge?.close())

const up = (name: string) => pingProbe(name, async () => undefined)

test('GET /health answers while every server is down', async () => {
  edge = await startEdge({
    probes: [pingProbe('kafka', () => Promise.reject(new Error('down')))],
  })
  const response = await fetch(`${edge.url}/health`)
  expect(response.status).toBe(200)
  expect(await response.json()).toEqual({ status: 'ok' })
})

test('readiness shows each server with its state, and 503 when one is down', async () => {
  edge = await startEdge({
    probes: [
      databaseProbe({ check: async () => 'ready' }),
      pingProbe('kafka', () => Promise.reject(new ServiceError('KAFKA_UNAVAILABLE', 'No broker answers'))),
      pingProbe('temporal', () => Promise.reject(new Error('postgres://u:secret@h'))),
    ],
  })
  const response = await fetch(`${edge.url}/health/ready`)
  expect(response.status).toBe(503)
  expect(await response.json()).toEqual({
    status: 'not ready',
    checks: {
      database: { state: 'up', latencyMs: expect.any(Number), schema: 'ready' },
      kafka: {
        state: 'down',
        latencyMs: expect.any(Number),
        code: 'KAFKA_UNAVAILABLE',
        detail: 'No broker answers',
      },
      temporal: { state: 'down', latencyMs: expect.any(Number), code: 'INTERNAL' },
    },
  })
})

test('a database without the schema is up and not ready', async () => {
  const readiness = createReadiness([databaseProbe({ check: async () => 'missing' }), up('kafka')])
  expect(await readiness()).toMatchObject({
    status: 'not ready',
    checks: { database: { state: 'up', schema: 'missing' }, kafka: { state: 'up' } },
  })
})

test('a server that hangs is down after the time limit, is asked once, and the others are not held up', async () => {
  let asked = 0
  const hanging = pingProbe('kafka', () => {
    asked += 1
    return sleep(10_000, undefined, { ref: false })
  })
  const readiness = createReadiness([hanging, up('database')], { timeoutMs: 50, freshMs: 0 })
  const startedAt = performance.now()
  for (let i = 0; i < 3; i++) {
    expect(await readiness()).toMatchObject({
      checks: { kafka: { state: 'down', code: 'TIMEOUT' }, database: { state: 'up' } },
    })
    await sleep(2)
  }
  expect(performance.now() - startedAt).toBeLessThan(8_000)
  expect(asked).toBe(1)
})

test('many callers at once cost the servers one question', async () => {
  let asked = 0
  const readiness = createReadiness([
    pingProbe('kafka', async () => {
      asked += 1
    }),
  ])
  await Promise.all(Array.from({ length: 20 }, () => readiness()))
  expect(asked).toBe(1)
})

test('metrics are Prometheus text by route template, never by path', async () => {
  edge = await startEdge()
  await fetch(`${edge.url}/replay/some-id`)
  await fetch(`${edge.url}/no-such-place`)
  const response = await fetch(`${edge.url}/metrics`)
  expect(response.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/)
  const text = await response.text()
  expect(text).toContain('http_requests_total{method="GET",route="/replay/:id",status="200"} 1')
  expect(text).toContain('http_requests_total{method="GET",route="unmatched",status="404"} 1')
  expect(text).not.toMatch(/some-id|no-such-place/)
  for (const name of [
    'ingest_events_total',
    'ingest_dead_letters_total',
    'ingest_lag_offsets',
    'replay_events_total',
    'process_cpu_seconds_total',
  ])
    expect(text).toContain(`# TYPE ${name} `)
})

test('roles without the API serve health and metrics and nothing else', async () => {
  const app = createHealthApp({
    readiness: createReadiness([up('kafka')]),
    metrics: createMetrics(),
    log: createLogger({ level: 'error' }),
  })
  const server = await serve(app, { host: '127.0.0.1', port: 0 })
  const statuses = await Promise.all(
    ['/health', '/health/ready', '/metrics', '/replays', '/events'].map(
      async (path) => (await fetch(`${server.url}${path}`)).status,
    ),
  )
  expect(statuses).toEqual([200, 200, 200, 404, 404])
  await server.close()
})

test('closing lets a running request finish and takes no new one', async () => {
  const [begun, mayEnd] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const own = await startEdge({
    operations: {
      listReplays: async () => {
        begun.resolve()
        await mayEnd.promise
        return { items: [], nextCursor: null }
      },
    },
  })
  const running = fetch(`${own.url}/replays`)
  await begun.promise
  const closing = own.close()
  await expect(fetch(`${own.url}/health`)).rejects.toThrow()
  mayEnd.resolve()
  expect((await running).status).toBe(200)
  const startedAt = performance.now()
  await closing
  // Connections are cut after ten seconds.
  expect(performance.now() - startedAt).toBeLessThan(8_000)
})

test('an address that is taken is named', async () => {
  edge = await startEdge()
  const { port } = edge.server
  await expect(serve(() => undefined, { host: '127.0.0.1', port })).rejects.toThrow(
    `cannot listen on 127.0.0.1:${port} (EADDRINUSE)`,
  )
})
