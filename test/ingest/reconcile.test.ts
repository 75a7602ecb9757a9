import { setTimeout as sleep } from 'node:timers/promises'
import kafkajs from 'kafkajs'
import type { Pool } from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import { createTestDatabase, createTestPool, type TestDatabase } from '../support/database.ts'
import { PlatformProcess, until } from '../support/platform.ts'
import { testServers } from '../support/servers.ts'
import { TestKafka, validEvent } from '../support/source.ts'

let kafka: TestKafka
let database: TestDatabase
let sql: Pool
let ingest: PlatformProcess | null = null

beforeAll(async () => {
  kafka = await TestKafka.connect()
})
afterAll(() => kafka.close())
beforeEach(async () => {
  database = await createTestDatabase()
  sql = createTestPool(database.adminUrl)
})
afterEach(async () => {
  await ingest?.kill()
  ingest = null
  await sql.end()
  await database.drop()
})

const start = (topics: readonly string[], group: string): PlatformProcess => {
  ingest = new PlatformProcess('ingest', {
    KAFKA_BROKERS: testServers().kafkaBrokers,
    KAFKA_TOPICS: topics.join(','),
    KAFKA_GROUP_ID: group,
    DATABASE_URL: database.appUrl,
  })
  return ingest
}

const produce = (topic: string, count: number): Promise<unknown> =>
  kafka.producer.send({
    topic,
    messages: Array.from({ length: count }, () => ({ value: JSON.stringify(validEvent()), partition: 0 })),
  })

const nextOffsetOf = async (topic: string): Promise<number> => {
  const { rows } = await sql.query('select next_offset::int as next from partition_logs where topic = $1', [
    topic,
  ])
  return rows[0]?.next ?? -1
}

const reaches = (topic: string, next: number): Promise<unknown> =>
  until(
    async () => (await nextOffsetOf(topic)) === next,
    40_000,
    () => `${topic} did not reach ${next}:\n${ingest?.output}`,
  )

async function deleteRecords(topic: string, offset: number): Promise<void> {
  // Loads the topic's leaders, which deleteTopicRecords looks up without asking for them.
  await kafka.admin.fetchTopicOffsets(topic)
  await kafka.admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: String(offset) }] })
}

/** A deleted topic goes away when its broker gets to it, and not before can it be made again. */
async function makeAgain(topic: string): Promise<void> {
  await kafka.admin.deleteTopics({ topics: [topic] })
  await until(
    async () => !(await kafka.admin.listTopics()).includes(topic),
    20_000,
    () => 'the topic is still there',
  )
  await kafka.createTopic(topic, 1)
}

it('offsets that Kafka dropped while ingest was away are a recorded gap with a leaf of its own', async () => {
  const topic = await kafka.topic(1)
  await produce(topic, 10)
  await start([topic], topic).says('ready')
  await reaches(topic, 10)
  await ingest?.stop()
  await produce(topic, 10)
  await deleteRecords(topic, 15)
  start([topic], topic)
  await reaches(topic, 20)
  const gaps = await sql.query('select from_offset::int, to_offset::int, leaf_index::int from gaps')
  expect(gaps.rows).toEqual([{ from_offset: 10, to_offset: 15, leaf_index: 10 }])
  const log = await sql.query('select size::int from partition_logs')
  expect(log.rows[0].size).toBe(10 + 1 + 5)
})

it('the group is told where a log is that somebody else took so far, also when nothing follows', async () => {
  const topic = await kafka.topic(1)
  const committed = async (): Promise<string | undefined> => {
    const [found] = await kafka.admin.fetchOffsets({ groupId: topic, topics: [topic] })
    return found?.partitions[0]?.offset
  }
  await produce(topic, 10)
  start([topic], topic)
  await reaches(topic, 10)
  await ingest?.stop()
  expect(await committed()).toBe('10')
  // As when a process is killed between its commit in PostgreSQL and the one in Kafka.
  await kafka.admin.setOffsets({ groupId: topic, topic, partitions: [{ partition: 0, offset: '3' }] })
  start([topic], topic)
  await until(
    async () => (await committed()) === '10',
    30_000,
    () => `the group is not at 10:\n${ingest?.output}`,
  )
})

it('a log that begins where Kafka begins has no gap', async () => {
  const topic = await kafka.topic(1)
  await produce(topic, 10)
  await deleteRecords(topic, 4)
  start([topic], topic)
  await reaches(topic, 10)
  expect((await sql.query('select from gaps')).rowCount).toBe(0)
  expect((await sql.query('select start_offset::int as start from partition_logs')).rows[0].start).toBe(4)
})

it('a topic made again under a running consumer closes its log; the other topic goes on', {
  timeout: 120_000,
}, async () => {
  const [doomed, healthy] = [await kafka.topic(1), await kafka.topic(1)]
  await produce(doomed, 20)
  await produce(healthy, 5)
  start([doomed, healthy], doomed)
  await reaches(doomed, 20)
  await reaches(healthy, 5)
  await makeAgain(doomed)
  // Beyond the old next offset: reading on would mix two topics.
  await produce(doomed, 50)
  await ingest?.says('TOPIC_RECREATED', 60_000)
  await produce(healthy, 5)
  await reaches(healthy, 10)
  expect(await nextOffsetOf(doomed)).toBe(20)
  expect(
    (
      await sql.query('select from events e join partition_logs l on l.id = e.log_id where l.topic = $1', [
        doomed,
      ])
    ).rowCount,
  ).toBe(20)
})

it('a log that is closed says so, whatever it waited for before', { timeout: 120_000 }, async () => {
  const topic = await kafka.topic(1)
  await produce(topic, 10)
  const running = start([topic], topic)
  const [, url = ''] = await running.says(/"url":"([^"]+)"/)
  await reaches(topic, 10)
  const said = async (): Promise<unknown> => {
    const answer = await fetch(`${url}/health/ready`)
    const { checks } = (await answer.json()) as { checks: { ingest: Record<string, string> } }
    return checks.ingest[`${topic}/0`]
  }
  const says = (wanted: RegExp): Promise<unknown> =>
    until(
      async () => wanted.test(String(await said())),
      40_000,
      () => `readiness does not say ${wanted}:\n${ingest?.output}`,
    )
  const holder = await sql.connect()
  try {
    await holder.query('begin')
    await holder.query('select from partition_logs for update')
    await produce(topic, 1)
    await says(/DATABASE_UNAVAILABLE/)
    await makeAgain(topic)
    await produce(topic, 5)
    await says(/^TOPIC_RECREATED/)
    // The append of before ends after the log was closed.
    await until(
      async () =>
        (
          await sql.query(
            `select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`,
          )
        ).rowCount === 0,
      20_000,
      () => 'the append waits for its lock still',
    )
  } finally {
    await holder.query('rollback')
    holder.release()
  }
  await sleep(1_500)
  expect(await said()).toMatch(/^TOPIC_RECREATED: pnpm log/)
  const metrics = await (await fetch(`${url}/metrics`)).text()
  expect(metrics).toMatch(/^ingest_closed_logs\{.*TOPIC_RECREATED.*\} 1$/m)
  expect(metrics).not.toMatch(/^ingest_waiting\{/m)
})

it('a configured topic that does not exist holds up no other, and is taken when it appears', {
  timeout: 90_000,
}, async () => {
  const present = await kafka.topic(1)
  const late = `${present}-late`
  await produce(present, 5)
  start([late, present], present)
  await reaches(present, 5)
  await ingest?.says('waiting for a topic that does not exist')
  await kafka.createTopic(late, 1)
  await produce(late, 7)
  await reaches(late, 7)
})

it('a group offset ahead of the log is not believed', async () => {
  const topic = await kafka.topic(1)
  await produce(topic, 30)
  await kafka.admin.setOffsets({ groupId: topic, topic, partitions: [{ partition: 0, offset: '30' }] })
  const running = start([topic], topic)
  await reaches(topic, 30)
  expect((await sql.query('select from events')).rowCount).toBe(30)
  await running.says('"groupOffset":"30","nextOffset":"0","msg":"the group is ahead of the log')
})

it('the group offset follows the log, so that lag tools show the truth', async () => {
  const topic = await kafka.topic(1)
  await produce(topic, 30)
  start([topic], topic)
  await reaches(topic, 30)
  await until(
    async () => {
      const [answer] = await kafka.admin.fetchOffsets({ groupId: topic, topics: [topic] })
      return answer?.partitions[0]?.offset === '30'
    },
    10_000,
    () => `the group offset stayed behind:\n${ingest?.output}`,
  )
})

it('records of aborted transactions never reach the log, and the position moves over them', async () => {
  const topic = await kafka.topic(1)
  const producer = kafka.kafka.producer({
    transactionalId: `${topic}-tx`,
    maxInFlightRequests: 1,
    idempotent: true,
    createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
  })
  await producer.connect()
  for (const commit of [false, true, false]) {
    const transaction = await producer.transaction()
    await transaction.send({
      topic,
      messages: Array.from({ length: 5 }, () => ({
        key: String(commit),
        value: JSON.stringify(validEvent()),
        partition: 0,
      })),
    })
    await (commit ? transaction.commit() : transaction.abort())
  }
  await producer.disconnect()
  start([topic], topic)
  await reaches(topic, 18)
  const rows = await sql.query(
    `select convert_from(key, 'UTF8') as key, "offset"::int as at, leaf_index::int as leaf from events order by "offset"`,
  )
  expect(rows.rows.map((row) => [row.key, row.at, row.leaf])).toEqual(
    [6, 7, 8, 9, 10].map((at, leaf) => ['true', at, leaf]),
  )
})

it('waits for PostgreSQL: connections cut in the middle lose and double nothing', {
  timeout: 90_000,
}, async () => {
  const topic = await kafka.topic(1)
  const running = start([topic], topic)
  await running.says('ready')
  await produce(topic, 1)
  await reaches(topic, 1)
  const ours = `from pg_stat_activity where datname = current_database() and application_name like 'streaming-ingest%'`
  const holder = await sql.connect()
  try {
    for (let round = 1; round <= 8; round++) {
      // Every other time with an append under way, which waits for the log's row.
      const isHeld = round % 2 === 0
      if (isHeld) await holder.query('begin; select from partition_logs for update')
      await produce(topic, 200)
      await until(
        async () =>
          (await sql.query(`select ${ours} ${isHeld ? `and wait_event_type = 'Lock'` : ''}`)).rowCount,
        30_000,
        () => `nothing to cut:\n${running.output}`,
      )
      await sql.query(`select pg_terminate_backend(pid) ${ours}`)
      if (isHeld) await holder.query('rollback')
      await sleep(Math.random() * 100)
    }
  } finally {
    holder.release(true)
  }
  await reaches(topic, 1_601)
  const rows = await sql.query(
    'select count(*)::int as n, count(distinct "offset")::int as offsets from events',
  )
  expect(rows.rows[0]).toEqual({ n: 1_601, offsets: 1_601 })
})
