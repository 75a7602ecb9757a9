import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Pool } from 'pg'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { hashFromBytes } from '../../src/domain/hash.ts'
import { appendLeaves, emptyFrontier, encodeFrontier } from '../../src/domain/merkle.ts'
import { leafIndex } from '../../src/domain/model.ts'
import { createTestDatabase, createTestPool, type TestDatabase } from '../support/database.ts'
import { PlatformProcess, until } from '../support/platform.ts'
import { testServers } from '../support/servers.ts'
import { TestKafka, validEvent } from '../support/source.ts'

const partitions = 4
const rounds = 12
const perRound = 2_000

let kafka: TestKafka
let database: TestDatabase
let sql: Pool

beforeAll(async () => {
  kafka = await TestKafka.connect()
  database = await createTestDatabase()
  sql = createTestPool(database.adminUrl)
})
afterAll(async () => {
  await kafka.close()
  await sql.end()
  await database.drop()
})

/** What was sent, by partition, in the order in which Kafka took it. */
const sent: Buffer[][] = Array.from({ length: partitions }, () => [])

async function produce(topic: string): Promise<void> {
  for (let done = 0; done < perRound; done += 100) {
    const partition = (done / 100) % partitions
    const values = Array.from({ length: 100 }, (_, index) =>
      index % 50 === 49 ? Buffer.from('not an event') : Buffer.from(JSON.stringify(validEvent())),
    )
    await kafka.producer.send({ topic, messages: values.map((value) => ({ value, partition })) })
    sent[partition]?.push(...values)
  }
}

async function stored(): Promise<number> {
  const rows = await sql.query('select coalesce(sum(size), 0)::int as size from partition_logs')
  return rows.rows[0]?.size ?? 0
}

it(`kill -9 at ${rounds} random moments: nothing lost, nothing doubled, one unbroken tree`, {
  timeout: 240_000,
}, async () => {
  const topic = await kafka.topic(partitions)
  const start = (group: string): PlatformProcess =>
    new PlatformProcess('ingest', {
      KAFKA_BROKERS: testServers().kafkaBrokers,
      KAFKA_TOPICS: topic,
      KAFKA_GROUP_ID: group,
      DATABASE_URL: database.appUrl,
      BATCH_MODE: 'true',
    })
  let kills = 0
  for (let round = 0; round < rounds; round++) {
    // A group of its own each time: it begins at the start of the topic, so every round also proves that the
    // log's row, not the group offset, is the position.
    const ingest = start(`${topic}-${round}`)
    const before = await stored()
    const producing = produce(topic)
    await until(
      async () => (await stored()) > before,
      30_000,
      () => ingest.output,
    )
    await sleep(Math.random() * 300)
    await ingest.kill()
    kills += 1
    await producing
  }
  const last = start(`${topic}-last-${randomUUID()}`)
  const total = rounds * perRound
  await until(
    async () => (await stored()) >= total,
    60_000,
    () => last.output,
  )
  expect((await last.stop()).tookMs).toBeLessThan(10_000)
  expect(kills).toBe(rounds)

  const logs = await sql.query(
    'select id, partition, size, next_offset, frontier from partition_logs order by partition',
  )
  expect(logs.rows.length).toBe(partitions)
  for (const log of logs.rows) {
    const rows = await sql.query(
      `select "offset", leaf_index, value, leaf_hash from events where log_id = $1
       union all select "offset", leaf_index, value, leaf_hash from dead_letters where log_id = $1 order by 1`,
      [log.id],
    )
    const expected = sent[log.partition] ?? []
    expect(rows.rows.length).toBe(expected.length)
    expect(
      rows.rows.every((row, index) => row.offset === String(index) && row.leaf_index === String(index)),
    ).toBe(true)
    expect(rows.rows.every((row, index) => row.value.equals(expected[index]))).toBe(true)
    const leaves = rows.rows.map((row) => hashFromBytes(row.leaf_hash))
    const tree = appendLeaves({ size: leafIndex(0n), frontier: emptyFrontier }, leaves)
    expect(encodeFrontier(tree.frontier).equals(log.frontier)).toBe(true)
    expect([log.size, log.next_offset]).toEqual([String(expected.length), String(expected.length)])
  }
})
