import type { Pool } from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import type { LogView } from '../../src/domain/logView.ts'
import { createDatabase } from '../../src/store/database.ts'
import { createStore } from '../../src/store/store.ts'
import { runCli } from '../cli/run.ts'
import { eventEntries } from '../store/entries.ts'
import { appendTo } from '../store/fixture.ts'
import { createTestDatabase, createTestPool, type TestDatabase } from '../support/database.ts'
import { PlatformProcess, type Role, until } from '../support/platform.ts'
import { testServers } from '../support/servers.ts'
import { TestKafka, validEvent } from '../support/source.ts'

let kafka: TestKafka
let database: TestDatabase
let sql: Pool
const processes: PlatformProcess[] = []

beforeAll(async () => {
  kafka = await TestKafka.connect()
})
afterAll(() => kafka.close())
beforeEach(async () => {
  database = await createTestDatabase()
  sql = createTestPool(database.adminUrl)
})
afterEach(async () => {
  await Promise.all(processes.splice(0).map((process) => process.kill()))
  await sql.end()
  await database.drop()
})

/** A role as a process of its own, and where its HTTP server listens. */
async function start(
  role: Role,
  topics: readonly string[],
): Promise<{ process: PlatformProcess; url: string }> {
  const process = new PlatformProcess(role, {
    KAFKA_BROKERS: testServers().kafkaBrokers,
    KAFKA_TOPICS: topics.join(','),
    KAFKA_GROUP_ID: topics[0] ?? '',
    DATABASE_URL: database.appUrl,
    TEMPORAL_ADDRESS: testServers().temporalAddress,
    PORT: '0',
  })
  processes.push(process)
  const [, url = ''] = await process.says(/"url":"([^"]+)"/)
  return { process, url }
}

const produce = (topic: string, count: number, partition = 0): Promise<unknown> =>
  kafka.producer.send({
    topic,
    messages: Array.from({ length: count }, () => ({ value: JSON.stringify(validEvent()), partition })),
  })

/** `incarnation: start…next, events` of every log of a partition. */
async function logsOf(topic: string, partition = 0): Promise<string[]> {
  const { rows } = await sql.query<{ line: string }>(
    `select format('%s: %s…%s, %s', l.incarnation, l.start_offset, l.next_offset,
              (select count(*) from events e where e.log_id = l.id)) as line
       from partition_logs l where l.topic = $1 and l.partition = $2 order by l.incarnation`,
    [topic, partition],
  )
  return rows.map(({ line }) => line)
}

const reaches = (topic: string, partition: number, wanted: readonly string[]): Promise<unknown> =>
  until(
    async () => (await logsOf(topic, partition)).join('\n') === wanted.join('\n'),
    40_000,
    () => `${topic}/${partition} did not reach ${wanted.join('; ')}:\n${processes[0]?.output}`,
  )

async function makeAgain(topic: string, partitions: number): Promise<void> {
  await kafka.admin.deleteTopics({ topics: [topic] })
  await until(
    async () => !(await kafka.admin.listTopics()).includes(topic),
    20_000,
    () => 'the topic is still there',
  )
  await kafka.createTopic(topic, partitions)
}

it('after a topic was made again, the running ingest goes on in the log that an operator opens', {
  timeout: 180_000,
}, async () => {
  const [doomed, healthy] = [await kafka.topic(2), await kafka.topic(1)]
  await produce(doomed, 20, 0)
  await produce(doomed, 5, 1)
  await produce(healthy, 5)
  const { process: ingest, url: health } = await start('ingest', [doomed, healthy])
  const { url: API_URL } = await start('api', [doomed, healthy])
  await reaches(doomed, 0, ['1: 0…20, 20'])
  await reaches(doomed, 1, ['1: 0…5, 5'])

  await makeAgain(doomed, 2)
  // Beyond the old next offset, and below it.
  await produce(doomed, 50, 0)
  await produce(doomed, 3, 1)
  const command = (partition: number) =>
    `TOPIC_RECREATED: pnpm log open-incarnation --topic ${doomed} --partition ${partition}`
  await until(
    async () => {
      const answer = await fetch(`${health}/health/ready`)
      const { checks } = (await answer.json()) as { checks: { ingest: Record<string, string> } }
      const named = [0, 1].map((partition) => checks.ingest[`${doomed}/${partition}`])
      return answer.status === 503 && named.join() === [command(0), command(1)].join()
    },
    60_000,
    () => `readiness does not name the command:\n${ingest.output}`,
  )
  expect(ingest.output).toContain(`to go on in a new log: pnpm log open-incarnation --topic ${doomed}`)
  await produce(healthy, 5)
  await reaches(healthy, 0, ['1: 0…10, 10'])
  const listed = await runCli(['log', 'list', '--topic', doomed, '--json'], { API_URL })
  // They are listed as they were opened, and which partition comes first is nobody's promise.
  const { items }: { items: { partition: number }[] } = JSON.parse(listed.stdout)
  expect(items.sort((one, other) => one.partition - other.partition)).toMatchObject([
    { partition: 0, incarnation: 1, state: 'closed', code: 'TOPIC_RECREATED', nextOffset: '20', size: '20' },
    { partition: 1, incarnation: 1, state: 'closed', code: 'TOPIC_RECREATED', nextOffset: '5', size: '5' },
  ])

  // One by name, then all that are left.
  const one = [
    'log',
    'open-incarnation',
    '--topic',
    doomed,
    '--partition',
    '0',
    '--reason',
    'made by mistake',
  ]
  expect(await runCli(one, { API_URL })).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(
      `^${doomed}/0: incarnation 2 begins at offset 0 of topic id [0-9a-f-]{36}\n$`,
    ),
  })
  await reaches(doomed, 0, ['1: 0…20, 20', '2: 0…50, 50'])
  expect(await logsOf(doomed, 1)).toEqual(['1: 0…5, 5'])
  const all = await runCli(['log', 'open-incarnation', '--topic', doomed, '--all'], { API_URL })
  expect(all.code).toBe(0)
  expect(all.stdout).toContain(`${doomed}/0: left as it is (LOG_NOT_CLOSED`)
  await reaches(doomed, 1, ['1: 0…5, 5', '2: 0…3, 3'])
  await produce(doomed, 7, 0)
  await reaches(doomed, 0, ['1: 0…20, 20', '2: 0…57, 57'])
  expect((await fetch(`${health}/health/ready`)).status).toBe(200)
  expect(ingest.isRunning).toBe(true)

  expect(await runCli(one, { API_URL })).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/^LOG_NOT_CLOSED: /),
  })
  const actions = await sql.query('select action, target, outcome, detail from operator_actions order by id')
  expect(actions.rows).toEqual([
    {
      action: 'log.open-incarnation',
      target: `${doomed}/0`,
      outcome: 'accepted',
      detail: { topic: doomed, partition: 0, reason: 'made by mistake' },
    },
    { action: 'log.open-incarnation', target: doomed, outcome: 'accepted', detail: { topic: doomed } },
    expect.objectContaining({ target: `${doomed}/0`, outcome: 'LOG_NOT_CLOSED' }),
  ])
  const leaves = await sql.query(
    `select l.incarnation, min(leaf_index)::int as first, max(leaf_index)::int as last from events e
       join partition_logs l on l.id = e.log_id where l.topic = $1 and l.partition = 0 group by 1 order by 1`,
    [doomed],
  )
  expect(leaves.rows).toEqual([
    { incarnation: 1, first: 0, last: 19 },
    { incarnation: 2, first: 0, last: 56 },
  ])
})

it('after a source was cut back, a second log of the same topic id begins at its log start', {
  timeout: 120_000,
}, async () => {
  const topic = await kafka.topic(1)
  await produce(topic, 10)
  const { process: ingest } = await start('ingest', [topic])
  await reaches(topic, 0, ['1: 0…10, 10'])
  // What one server cannot do to itself: the log has taken more than Kafka has.
  const connections = createDatabase({ url: database.appUrl })
  const store = createStore(connections)
  const log = await store.writer.findLog(topic, 0)
  if (log === null) throw new Error('no log')
  await ingest.stop()
  const old = { log, position: log.position }
  await appendTo(store, old, eventEntries(10n, 30n), 30n)
  const { process: again } = await start('ingest', [topic])
  const { url: API_URL } = await start('api', [topic])
  await again.says('SOURCE_TRUNCATED')
  const [before] = await listed(API_URL, topic)
  expect(before).toMatchObject({ state: 'closed', code: 'SOURCE_TRUNCATED', nextOffset: '30' })

  const open = await runCli(['log', 'open-incarnation', '--topic', topic, '--json'], { API_URL })
  expect(JSON.parse(open.stdout)).toMatchObject({
    opened: [{ incarnation: 2, topicId: log.identity.topicId, startOffset: '0', state: 'open' }],
    left: [],
  })
  await reaches(topic, 0, ['1: 0…30, 30', '2: 0…10, 10'])
  // Kafka grows past the old log: nobody takes that for its continuation.
  await produce(topic, 40)
  await reaches(topic, 0, ['1: 0…30, 30', '2: 0…50, 50'])
  expect(await appendTo(store, old, eventEntries(30n, 31n), 31n)).toMatchObject({ kind: 'superseded' })
  expect((await listed(API_URL, topic)).map(({ state }) => state)).toEqual(['superseded', 'open'])

  // The records that both logs hold have the same ids.
  const { rows } = await sql.query<{ id: string }>(
    'select id from events where log_id = $1 and "offset" = 3',
    [log.logId],
  )
  const id = rows[0]?.id
  const ambiguous = await (await fetch(`${API_URL}/events/${id}`)).json()
  expect(ambiguous).toMatchObject({
    code: 'EVENT_AMBIGUOUS',
    detail: '2 events have this id: choose one with incarnation',
    candidates: [
      { topic, partition: 0, incarnation: 1, offset: '3' },
      { topic, partition: 0, incarnation: 2, offset: '3' },
    ],
  })
  const chosen = await (await fetch(`${API_URL}/events/${id}?incarnation=2`)).json()
  expect(chosen).toMatchObject({ id, incarnation: 2, offset: '3' })
  await connections.close()
})

it('a log that is followed while ingest appends to it is left at once, and nothing is skipped', {
  timeout: 90_000,
}, async () => {
  const topic = await kafka.topic(1)
  await produce(topic, 10)
  const { process: ingest } = await start('ingest', [topic])
  await reaches(topic, 0, ['1: 0…10, 10'])
  const connections = createDatabase({ url: database.appUrl })
  const store = createStore(connections)
  const log = await store.writer.findLog(topic, 0)
  if (log === null) throw new Error('no log')
  const next = { topicId: log.identity.topicId, startOffset: log.startOffset }
  const outcome = await store.writer.openIncarnation(log, next, async () => next.topicId)
  expect(outcome.kind).toBe('opened')
  await produce(topic, 5)
  await reaches(topic, 0, ['1: 0…10, 10', '2: 0…15, 15'])
  await ingest.says('an operator opened a new incarnation')
  expect(ingest.output).not.toContain('fails closed')
  await connections.close()
})

async function listed(apiUrl: string, topic: string): Promise<readonly LogView[]> {
  const answer = await fetch(`${apiUrl}/logs?topic=${topic}`)
  return ((await answer.json()) as { items: LogView[] }).items
}

it('refuses what is not closed, not known, or has no source, and says which', {
  timeout: 90_000,
}, async () => {
  const topic = await kafka.topic(1)
  await produce(topic, 3)
  await start('ingest', [topic])
  const { url: API_URL } = await start('api', [topic])
  await reaches(topic, 0, ['1: 0…3, 3'])
  const refusal = async (...flags: string[]): Promise<string> => {
    const { code, stderr } = await runCli(['log', 'open-incarnation', ...flags], { API_URL })
    return `${code} ${stderr.split(':')[0]}`
  }
  expect(await refusal('--topic', topic)).toBe('2 LOG_NOT_CLOSED')
  expect(await refusal('--topic', topic, '--partition', '1')).toBe('2 --partition')
  expect(await refusal('--topic', `${topic}-none`)).toBe('2 --topic')
  expect(await refusal('--topic', topic, '--partition', 'x')).toBe('2 --partition')
  expect(await refusal('--topic', topic, '--all', '--partition', '0')).toMatch(/^2 --all and --partition/)
  await kafka.admin.deleteTopics({ topics: [topic] })
  await until(
    async () => (await refusal('--topic', topic)) === '2 SOURCE_MISSING',
    20_000,
    () => 'the topic is still there',
  )
  expect(await logsOf(topic)).toEqual(['1: 0…3, 3'])
})
