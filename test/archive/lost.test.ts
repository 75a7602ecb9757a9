/** What neither an archive nor Kafka has any more is named, on a real topic that was cut, and no log contradicts its notes. */
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { HeldNote } from '../../src/archive/notesHeld.ts'
import type { RecoveredLogView } from '../../src/domain/archive/recoveryView.ts'
import { offset } from '../../src/domain/model.ts'
import { openIncarnation } from '../../src/ingest/incarnation.ts'
import { standingOf } from '../../src/ingest/standing.ts'
import { createDatabase } from '../../src/store/database.ts'
import { createStore } from '../../src/store/store.ts'
import { appendTo } from '../store/fixture.ts'
import { type TestDatabase, withClient } from '../support/database.ts'
import { PlatformProcess, until } from '../support/platform.ts'
import { testServers } from '../support/servers.ts'
import { TestKafka, validEvent } from '../support/source.ts'
import { trueEvents } from '../verification/trueLog.ts'
import { recoverInto, useArchives } from './fixture.ts'

const { broker, platform, makeFolder, archive, checkpoint, emptyDatabase } = useArchives('lost')
let kafka: TestKafka
beforeAll(async () => {
  kafka = await TestKafka.connect()
})
afterAll(() => kafka.close())

interface Before {
  readonly topic: string
  readonly folder: string
  /** Over 40 and over 60 leaves. */
  readonly notes: readonly HeldNote[]
}

/** A log of 60 leaves, 40 of them archived, over a topic with `records`. */
async function before(records: number): Promise<Before> {
  const topic = await kafka.topic(1)
  await kafka.producer.send({
    topic,
    messages: Array.from({ length: records }, () => ({ value: JSON.stringify(validEvent()), partition: 0 })),
  })
  const topicId = (await broker.directory.describe(topic))?.topicId ?? ''
  const log = await platform.store.writer.openLog({ topic, partition: 0, topicId }, offset(0n), 0)
  const open = { log, position: log.position }
  await appendTo(platform.store, open, trueEvents(0n, 40n), 40n)
  const folder = makeFolder()
  const notes = [...(await checkpoint(topic))]
  await archive(folder, { topic })
  await appendTo(platform.store, open, trueEvents(40n, 60n), 60n)
  notes.push(...(await checkpoint(topic)))
  return { topic, folder, notes }
}

async function deleteBelow(topic: string, below: number): Promise<void> {
  // Loads the topic's leaders, which deleteTopicRecords looks up without asking for them.
  await kafka.admin.fetchTopicOffsets(topic)
  await kafka.admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: String(below) }] })
}

async function committedGroup(topic: string, at: number): Promise<string> {
  const groupId = randomUUID()
  await kafka.admin.setOffsets({ groupId, topic, partitions: [{ partition: 0, offset: String(at) }] })
  return groupId
}

async function recovered(
  { folder, notes }: Before,
  withNotes = true,
): Promise<{
  readonly database: TestDatabase
  readonly log: RecoveredLogView | undefined
  readonly complete: boolean
}> {
  const database = await emptyDatabase()
  const { logs, complete } = await recoverInto(database, folder, {
    ...{ notes: withNotes ? notes : [], source: broker.directory },
  })
  return { database, log: logs[0], complete }
}

it('what Kafka still has is not lost', async () => {
  const source = await before(60)
  await deleteBelow(source.topic, 10)
  expect(await recovered(source)).toMatchObject({
    complete: true,
    log: {
      ...{ provenTo: '40', nextOffset: '40', notes: { matched: 1, larger: 1 } },
      missing: [{ state: 'in-kafka', fromLeaf: '40', toLeaf: '60', fromOffset: '40', toOffset: '60' }],
    },
  })
})

it('what Kafka deleted is lost: named, and ingest goes on behind it in another incarnation', {
  timeout: 60_000,
}, async () => {
  const source = await before(60)
  const { topic } = source
  await deleteBelow(topic, 50)
  // It had followed the log to its end, before the disaster.
  const groupId = await committedGroup(topic, 60)
  const { database, log, complete } = await recovered(source)
  expect(complete).toBe(false)
  expect(log).toMatchObject({
    missing: [
      { state: 'lost', fromLeaf: '40', toLeaf: '60', fromOffset: '40', toOffset: '50' },
      { state: 'in-kafka', fromOffset: '50', toOffset: '60' },
    ],
    followedBy: { incarnation: 2, startOffset: '50' },
  })
  const ingest = new PlatformProcess('ingest', {
    KAFKA_BROKERS: testServers().kafkaBrokers,
    KAFKA_TOPICS: topic,
    KAFKA_GROUP_ID: groupId,
    DATABASE_URL: database.appUrl,
  })
  try {
    const logs = () =>
      withClient(database.adminUrl, async (client) => {
        const { rows } = await client.query<{ log: string }>(
          `select format('%s: %s leaves, %s', incarnation, size, next_offset) as log from partition_logs order by 1`,
        )
        return rows.map((row) => row.log).join('; ')
      })
    await until(
      async () => (await logs()) === '1: 40 leaves, 40; 2: 10 leaves, 60',
      40_000,
      () => ingest.output,
    )
  } finally {
    await ingest.stop()
  }
  // Without a note that promises more, the log itself goes on, with a gap.
  const unpromised = await recovered(source, false)
  expect(unpromised.log).toMatchObject({ missing: [{ state: 'lost', toLeaf: null, toOffset: '50' }, {}] })
  expect(unpromised.log).not.toHaveProperty('followedBy')
})

it('a log that its group was ahead of stays closed until an operator opens the next incarnation', async () => {
  const source = await before(60)
  const { topic } = source
  await deleteBelow(topic, 50)
  const groupId = await committedGroup(topic, 60)
  const { database, log } = await recovered(source, false)
  expect(log).toMatchObject({ nextOffset: '40', missing: [{ state: 'lost' }, { state: 'in-kafka' }] })
  const connections = createDatabase({ url: database.appUrl })
  try {
    const { writer } = createStore(connections)
    const stored = await writer.findLog(topic, 0)
    if (stored === null) throw new Error('no log')
    const { directory } = broker
    expect(await standingOf(directory, groupId, stored)).toMatchObject({ code: 'COMMITS_LOST' })
    const opened = await openIncarnation({ writer, directory, groupId }, stored)
    expect(opened).toMatchObject({ incarnation: 2, startOffset: 50n })
    expect(await standingOf(directory, groupId, opened)).toEqual({ kind: 'continue' })
  } finally {
    await connections.close()
  }
})

it('a log that Kafka ends below is not whole', async () => {
  const source = await before(30)
  expect(await recovered(source, false)).toMatchObject({
    complete: false,
    log: { missing: [{ state: 'truncated', fromOffset: '30', toOffset: '40' }] },
  })
})

it('what a note promises and Kafka never held again is lost, as is all of a topic that is gone', async () => {
  const short = await before(45)
  expect(await recovered(short)).toMatchObject({
    complete: false,
    log: {
      missing: [{ state: 'lost', fromLeaf: '40', toLeaf: '60', fromOffset: '40', toOffset: null }],
      followedBy: { incarnation: 2, startOffset: '40' },
    },
  })
  const gone = await before(60)
  await kafka.admin.deleteTopics({ topics: [gone.topic] })
  await until(
    async () => (await broker.directory.describe(gone.topic)) === null,
    10_000,
    () => 'the topic is still there',
  )
  expect(await recovered(gone)).toMatchObject({
    complete: false,
    log: { missing: [{ state: 'lost', detail: 'the topic is not there any more' }] },
  })
})
