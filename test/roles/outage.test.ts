import type { Pool } from 'pg'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { createTestDatabase, createTestPool, type TestDatabase } from '../support/database.ts'
import { Gate } from '../support/gate.ts'
import { PlatformProcess, until } from '../support/platform.ts'
import { testServers } from '../support/servers.ts'
import { TestKafka, validEvent } from '../support/source.ts'

let kafka: TestKafka
let database: TestDatabase
let sql: Pool
let gates: { readonly postgres: Gate; readonly kafka: Gate; readonly temporal: Gate }
let platform: PlatformProcess | null = null

beforeEach(async () => {
  kafka = await TestKafka.connect()
  database = await createTestDatabase()
  sql = createTestPool(database.adminUrl)
  const servers = testServers()
  gates = {
    postgres: await Gate.to(new URL(database.appUrl).host),
    kafka: await Gate.to(servers.kafkaBrokers),
    temporal: await Gate.to(servers.temporalAddress),
  }
})
afterEach(async () => {
  await platform?.kill()
  platform = null
  for (const gate of Object.values(gates)) await gate.close()
  await sql.end()
  await database.drop()
  await kafka.close()
})

interface Health {
  readonly code: number
  /** The names of the checks that are not up. */
  readonly down: readonly string[]
}

async function readiness(url: string): Promise<Health> {
  const response = await fetch(`${url}/health/ready`, { signal: AbortSignal.timeout(20_000) })
  const body = (await response.json()) as { checks: Record<string, { state: string }> }
  const down = Object.entries(body.checks).filter(([, check]) => check.state !== 'up')
  return { code: response.status, down: down.map(([name]) => name).sort() }
}

const becomes = (url: string, wanted: Health): Promise<unknown> =>
  until(
    async () => {
      const health = await readiness(url)
      return health.code === wanted.code && health.down.join() === wanted.down.join()
    },
    40_000,
    () => `readiness did not become ${JSON.stringify(wanted)}:\n${platform?.output}`,
  )

it('waits for servers that are away at start or later, says for whom, loses nothing, recovers by itself', {
  timeout: 180_000,
}, async () => {
  const topic = await kafka.topic(1)
  const produce = (count: number): Promise<unknown> =>
    kafka.producer.send({
      topic,
      messages: Array.from({ length: count }, () => ({ value: JSON.stringify(validEvent()) })),
    })
  const hasEvents = (count: number): Promise<unknown> =>
    until(
      async () => (await sql.query('select count(*)::int as n from events')).rows[0].n === count,
      40_000,
      () => `no ${count} events:\n${platform?.output}`,
    )
  const url = new URL(database.appUrl)
  url.host = gates.postgres.address
  platform = new PlatformProcess('all', {
    KAFKA_BROKERS: gates.kafka.address,
    KAFKA_TOPICS: topic,
    KAFKA_GROUP_ID: topic,
    DATABASE_URL: url.href,
    TEMPORAL_ADDRESS: gates.temporal.address,
    TEMPORAL_TASK_QUEUE: topic,
    PORT: '0',
  })
  const [, api = ''] = await platform.says(/"url":"([^"]+)","msg":"listening"/)

  await platform.says('waiting for the database')
  await becomes(api, { code: 503, down: ['database', 'kafka', 'temporal'] })
  gates.postgres.open()
  await becomes(api, { code: 503, down: ['kafka', 'temporal'] })
  await platform.says('waiting for Temporal')
  gates.kafka.open()
  await produce(10)
  await hasEvents(10)
  gates.temporal.open()
  await platform.says('taking work from Temporal')
  await becomes(api, { code: 200, down: [] })

  gates.postgres.shut()
  gates.temporal.shut()
  await becomes(api, { code: 503, down: ['database', 'temporal'] })
  const refused = await fetch(`${api}/replay`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ topic }),
  })
  expect(refused.status).toBe(503)
  await produce(10)
  gates.postgres.open()
  await hasEvents(20)
  gates.temporal.open()
  await becomes(api, { code: 200, down: [] })
  expect((await platform.stop()).tookMs).toBeLessThan(10_000)
})

it('Temporal down: a replay is refused with 503 and nothing is half-started', {
  timeout: 90_000,
}, async () => {
  const topic = await kafka.topic(1)
  await kafka.producer.send({ topic, messages: [{ value: JSON.stringify(validEvent()) }] })
  gates.temporal.open()
  platform = new PlatformProcess('all', {
    KAFKA_BROKERS: testServers().kafkaBrokers,
    KAFKA_TOPICS: topic,
    KAFKA_GROUP_ID: topic,
    DATABASE_URL: database.appUrl,
    TEMPORAL_ADDRESS: gates.temporal.address,
    TEMPORAL_TASK_QUEUE: topic,
    PORT: '0',
  })
  const [, api = ''] = await platform.says(/"url":"([^"]+)","msg":"listening"/)
  await becomes(api, { code: 200, down: [] })
  await until(
    async () => (await sql.query('select 1 from events')).rowCount,
    30_000,
    () => 'no event',
  )
  gates.temporal.shut()
  const post = (path: string): Promise<Response> =>
    fetch(`${api}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-requested-by': 'tester' },
      body: JSON.stringify({ topic }),
    })
  for (const path of ['/replay', '/checkpoint']) {
    const answer = await post(path)
    expect([path, answer.status]).toEqual([path, 503])
    expect(((await answer.json()) as { code: string }).code).toBe('TEMPORAL_UNAVAILABLE')
  }
  expect((await sql.query('select from replays')).rowCount).toBe(0)
  expect((await sql.query('select from checkpoints')).rowCount).toBe(0)
  expect(await kafka.admin.listTopics()).not.toContain(`${topic}-replay`)
  const actions = await sql.query('select actor, outcome from operator_actions')
  expect(actions.rows.every((row) => row.actor === 'tester')).toBe(true)
  expect(actions.rowCount).toBeGreaterThanOrEqual(2)
})
