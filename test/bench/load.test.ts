import { execFile } from 'node:child_process'
import { resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readNextOffsets } from '../../bench/load/commits.ts'
import { Latencies } from '../../bench/load/latencies.ts'
import { Ledger } from '../../bench/load/ledger.ts'
import { type LoadOptions, readLoadOptions } from '../../bench/load/options.ts'
import { problemsOf } from '../../bench/load/report.ts'
import { createTestDatabase, type TestDatabase, withClient } from '../support/database.ts'
import { PlatformProcess } from '../support/platform.ts'
import { testServers } from '../support/servers.ts'
import { TestKafka } from '../support/source.ts'

const root = resolve(import.meta.dirname, '../..')

describe('the ledger', () => {
  it('counts latency from when a batch was due, whichever of answer and commit comes first', () => {
    const ledger = new Ledger()
    ledger.acknowledge(0, 100, { events: 10, dueMs: 1_000 }, 1_005)
    expect([ledger.acknowledged, ledger.committed]).toEqual([10, 0])
    ledger.advance(0, 109, 1_007)
    expect(ledger.committed).toBe(0)
    ledger.advance(0, 130, 1_020)
    expect([ledger.committed, ledger.lastCommitMs]).toEqual([10, 1_020])
    // The commit of this one was seen before Kafka's answer.
    ledger.acknowledge(0, 110, { events: 10, dueMs: 1_010 }, 1_025)
    ledger.acknowledge(1, 0, { events: 10, dueMs: 1_010 }, 1_025)
    expect(ledger.committed).toBe(20)
    expect(ledger.commit.percentiles([0, 1])).toEqual([15, 20])
  })
})

describe('percentiles', () => {
  it('are values that were seen, by nearest rank', () => {
    const latencies = new Latencies()
    for (let value = 3_000; value >= 1; value--) latencies.add(value)
    expect(latencies.percentiles([0.5, 0.9, 0.99, 1])).toEqual([1_500, 2_700, 2_970, 3_000])
    expect(new Latencies().percentiles([0.5])).toEqual([Number.NaN])
  })
})

describe('the verdict', () => {
  const options = readLoadOptions({ TARGET_THROUGHPUT: '100', DURATION: '10', BATCH_SIZE: '10' }, null)
  const run = (committedAtMs: number | null, batches = 100): string[] => {
    const ledger = new Ledger()
    for (let batch = 0; batch < batches; batch++)
      ledger.acknowledge(0, batch * 10, { events: 10, dueMs: batch * 100 }, batch * 100 + 5)
    if (committedAtMs !== null) ledger.advance(0, batches * 10, committedAtMs)
    const times = { startedMs: 0, endedMs: 10_000 }
    return problemsOf({ options, ledger, sent: batches * 10, ...times, interrupted: false })
  }

  it('holds when all was committed in time', () => expect(run(10_900)).toEqual([]))
  it('does not when the log fell behind', () =>
    expect(run(11_100)).toEqual(['the log was 1.1 s behind at the end']))
  it('does not when nobody ingests', () => expect(run(null)).toEqual(['nobody ingests the topic events']))
  it('does not when fewer were produced', () => {
    expect(run(9_000, 90)).toEqual(['only 900 were produced', 'only 900 were committed to the log'])
  })
})

describe('the variables', () => {
  it('have the defaults of the load test', () => {
    const expected: LoadOptions = {
      brokers: ['localhost:9092'],
      topic: 'events',
      eventsPerSecond: 10_000,
      seconds: 60,
      batchSize: 100,
      databaseUrl: null,
      apiUrl: null,
      groupId: 'streaming-ingest',
    }
    expect(readLoadOptions({}, null)).toEqual(expected)
  })

  it('take addresses from the running stack, its database only with its broker', () => {
    const stack = { KAFKA_BROKERS: '127.0.0.1:1', DATABASE_URL: 'postgres://x/y' }
    expect(readLoadOptions({}, stack)).toMatchObject({
      brokers: ['127.0.0.1:1'],
      databaseUrl: 'postgres://x/y',
    })
    expect(readLoadOptions({ KAFKA_GROUP_ID: 'g' }, stack)).toMatchObject({ databaseUrl: null, groupId: 'g' })
    expect(readLoadOptions({ KAFKA_BROKERS: 'b:2' }, stack)).toMatchObject({
      brokers: ['b:2'],
      databaseUrl: null,
    })
  })

  it('are all named when they are wrong', () => {
    expect(() => readLoadOptions({ TARGET_THROUGHPUT: 'x', DURATION: '0', BATCH_SIZE: '1' }, null)).toThrow(
      /TARGET_THROUGHPUT .*\nDURATION /,
    )
  })
})

it('reads the next offsets out of the metrics', () => {
  const metrics = `# HELP ingest_next_offset x
ingest_next_offset{topic="events",partition="0"} 17
ingest_next_offset{topic="other",partition="0"} 18
ingest_next_offset{topic="events",partition="3"} 12345678901`
  expect(readNextOffsets(metrics, 'events')).toEqual(
    new Map([
      [0, 17],
      [3, 12_345_678_901],
    ]),
  )
})

describe('a load on a real platform', () => {
  let kafka: TestKafka
  let database: TestDatabase
  let ingest: PlatformProcess
  let topic: string
  beforeAll(async () => {
    kafka = await TestKafka.connect()
    database = await createTestDatabase()
    topic = await kafka.topic(2)
    ingest = new PlatformProcess('ingest', {
      KAFKA_BROKERS: testServers().kafkaBrokers,
      KAFKA_TOPICS: topic,
      KAFKA_GROUP_ID: topic,
      DATABASE_URL: database.appUrl,
    })
    await ingest.says('ready')
  })
  afterAll(async () => {
    await ingest.stop()
    await database.drop()
    await kafka.close()
  })

  const load = (env: Readonly<Record<string, string>>): Promise<{ code: number; output: string }> =>
    new Promise((done) => {
      execFile(
        process.execPath,
        ['--import', 'tsx', 'test/load-test.ts'],
        {
          cwd: root,
          env: {
            PATH: process.env['PATH'],
            KAFKA_BROKERS: testServers().kafkaBrokers,
            TARGET_THROUGHPUT: '300',
            DURATION: '2',
            BATCH_SIZE: '10',
            ...env,
          },
        },
        (error, stdout, stderr) => done({ code: Number(error?.code ?? 0), output: `${stdout}${stderr}` }),
      )
    })

  it.each([
    ['the database', () => ({ DATABASE_URL: database.appUrl })],
    ['the offsets of the group', () => ({ KAFKA_GROUP_ID: topic })],
  ])('sees all of it committed through %s', async (_name, env) => {
    const { code, output } = await load({ KAFKA_TOPIC: topic, ...env() })
    expect(output).toMatch(/Produced {8}600, /)
    expect(output).toMatch(/Committed {7}600, /)
    expect(output).toMatch(/committed +p50 [\d.]+ ms +p90 [\d.]+ ms +p99 [\d.]+ ms +max [\d.]+ ms/)
    // Whether the last of them came in time is the machine's to say; all that is due here is that the verdict is that of the figures.
    const isBehind = /the log was [\d.]+ s behind at the end/.test(output)
    expect([isBehind, code], output).toEqual(output.includes('The target held.') ? [false, 0] : [true, 1])
    const stored = await withClient(database.adminUrl, (client) => client.query('select from events'))
    expect((stored.rowCount ?? 0) % 600).toBe(0)
  })

  it('fails when nobody ingests the topic', { timeout: 90_000 }, async () => {
    const { code, output } = await load({
      KAFKA_TOPIC: await kafka.topic(1),
      DATABASE_URL: database.appUrl,
      DURATION: '1',
    })
    expect(output).toContain('nobody ingests the topic')
    expect(code).toBe(1)
  })
})
