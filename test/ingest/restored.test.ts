import { escapeIdentifier } from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import { openIncarnation } from '../../src/ingest/incarnation.ts'
import { createTopicDirectory } from '../../src/kafka/topic-directory.ts'
import { createDatabase } from '../../src/store/database.ts'
import { createStore } from '../../src/store/store.ts'
import { connectionTo } from '../kafka/broker.ts'
import { eventEntries } from '../store/entries.ts'
import { appendTo } from '../store/fixture.ts'
import { createTestDatabase, type TestDatabase, withClient } from '../support/database.ts'
import { PlatformProcess, until } from '../support/platform.ts'
import { testServers } from '../support/servers.ts'
import { TestKafka, validEvent } from '../support/source.ts'

let kafka: TestKafka
let database: TestDatabase
let ingest: PlatformProcess | null = null

beforeAll(async () => {
  kafka = await TestKafka.connect()
})
afterAll(() => kafka.close())
beforeEach(async () => {
  database = await createTestDatabase()
})
afterEach(async () => {
  await ingest?.kill()
  ingest = null
  await database.drop()
  await asAdmin(`drop database if exists ${backup()}`)
})

const start = (topic: string): PlatformProcess => {
  ingest = new PlatformProcess('ingest', {
    KAFKA_BROKERS: testServers().kafkaBrokers,
    KAFKA_TOPICS: topic,
    KAFKA_GROUP_ID: topic,
    DATABASE_URL: database.appUrl,
  })
  return ingest
}

const asAdmin = (text: string): Promise<unknown> =>
  withClient(testServers().databaseAdminUrl, (client) => client.query(text))
const backup = (): string => escapeIdentifier(`${database.name}_backup`)
/** Nobody may be connected. */
const takeBackup = (): Promise<unknown> =>
  asAdmin(`create database ${backup()} template ${escapeIdentifier(database.name)}`)
async function putBack(): Promise<void> {
  await database.drop()
  await asAdmin(`create database ${escapeIdentifier(database.name)} template ${backup()}`)
}

const produce = (topic: string, count: number): Promise<unknown> =>
  kafka.producer.send({
    topic,
    messages: Array.from({ length: count }, () => ({ value: JSON.stringify(validEvent()), partition: 0 })),
  })

/** `next offset, events` of the newest log; nothing while there is none. */
const logOf = (topic: string): Promise<string> =>
  withClient(database.adminUrl, async (client) => {
    const { rows } = await client.query<{ line: string }>(
      `select format('%s, %s', next_offset, (select count(*) from events e where e.log_id = l.id)) as line
         from partition_logs l where topic = $1 order by incarnation desc`,
      [topic],
    )
    return rows[0]?.line ?? ''
  })

const reaches = (topic: string, wanted: string): Promise<unknown> =>
  until(
    async () => (await logOf(topic)) === wanted,
    40_000,
    () => `${topic} did not reach ${wanted}:\n${ingest?.output}`,
  )

it('a database put back to before the log was opened gets everything again from the ingest that runs', {
  timeout: 90_000,
}, async () => {
  const topic = await kafka.topic(1)
  await takeBackup()
  const running = start(topic)
  await produce(topic, 20)
  await reaches(topic, '20, 20')
  await until(
    async () => {
      const [answer] = await kafka.admin.fetchOffsets({ groupId: topic, topics: [topic] })
      return answer?.partitions[0]?.offset === '20'
    },
    10_000,
    () => 'the group does not follow',
  )
  await putBack()
  expect(await logOf(topic)).toBe('')
  await produce(topic, 5)
  await reaches(topic, '25, 25')
  await running.says('the database does not have the log any more')
  await running.says('"groupOffset":"20","nextOffset":"0","msg":"the group is ahead of the log')
  expect(running.output).not.toContain('fails closed')
})

it('a database put back while no records come gets back what it lost, too', { timeout: 90_000 }, async () => {
  const topic = await kafka.topic(1)
  await produce(topic, 10)
  await start(topic).says('ready')
  await reaches(topic, '10, 10')
  await ingest?.stop()
  await takeBackup()
  await start(topic).says('ready')
  await produce(topic, 10)
  await reaches(topic, '20, 20')
  await putBack()
  await reaches(topic, '20, 20')
})

it('a log that was closed goes on when the database is put back to where it joins on again', {
  timeout: 90_000,
}, async () => {
  const topic = await kafka.topic(1)
  await produce(topic, 10)
  await start(topic).says('ready')
  await reaches(topic, '10, 10')
  await ingest?.stop()
  await takeBackup()
  // What one server cannot do to itself: the log has taken more than Kafka has.
  const connections = createDatabase({ url: database.appUrl })
  const store = createStore(connections)
  const log = await store.writer.findLog(topic, 0)
  if (log === null) throw new Error('no log')
  await appendTo(store, { log, position: log.position }, eventEntries(10n, 30n), 30n)
  await connections.close()
  const running = start(topic)
  await running.says('SOURCE_TRUNCATED')
  await putBack()
  await running.says('a closed log is not what it was when it was closed')
  await produce(topic, 5)
  await reaches(topic, '15, 15')
})

it('a database put back to before what Kafka no longer has closes the log, and a new one begins on request', {
  timeout: 90_000,
}, async () => {
  const topic = await kafka.topic(1)
  await produce(topic, 10)
  await start(topic).says('ready')
  await reaches(topic, '10, 10')
  await ingest?.stop()
  await takeBackup()
  await start(topic).says('ready')
  await produce(topic, 10)
  await reaches(topic, '20, 20')
  await ingest?.stop()
  await putBack()
  await kafka.admin.fetchTopicOffsets(topic)
  await kafka.admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '15' }] })
  const running = start(topic)
  await running.says('COMMITS_LOST')
  await produce(topic, 5)
  expect(await logOf(topic)).toBe('10, 10')
  const connections = createDatabase({ url: database.appUrl })
  const { writer } = createStore(connections)
  const closed = await writer.findLog(topic, 0)
  if (closed === null) throw new Error('no log')
  const directory = createTopicDirectory(connectionTo(testServers().kafkaBrokers.split(',')))
  const opened = await openIncarnation({ writer, directory, groupId: topic }, closed)
  directory.close()
  expect(opened).toMatchObject({ incarnation: 2, startOffset: 15n })
  await connections.close()
  await until(
    async () => (await logOf(topic)) === '25, 10',
    20_000,
    () => `the new log did not go on:\n${running.output}`,
  )
})
