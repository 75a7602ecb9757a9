/** What neither an archive nor Kafka has any more is named, on a real topic that was cut, and no log contradicts its notes. */
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { adoptNotes } from '../../src/archive/adoptNotes.ts'
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
import { eventValue, trueEntry, trueEvents } from '../verification/trueLog.ts'
import { key, recoverInto, useArchives } from './fixture.ts'

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

it('a later incarnation that only its notes know is opened, and ingest arrives at their roots', {
  timeout: 60_000,
}, async () => {
  const topic = await kafka.topic(2)
  const sentAt = 1_760_000_000_000n
  // As ingest takes them: the same bytes and times, so the same leaves.
  const entriesOf = (partition: number, from: number, to: number) =>
    Array.from({ length: to - from }, (_, index) => {
      const value = eventValue(partition * 1_000 + from + index)
      return trueEntry({ offset: BigInt(from + index), timestamp: sentAt, key: null, value })
    })
  const messages = [0, 1].flatMap((partition) =>
    entriesOf(partition, 0, 60).map((_, index) => ({
      ...{ partition, value: eventValue(partition * 1_000 + index), timestamp: String(sentAt) },
    })),
  )
  await kafka.producer.send({ topic, messages })
  const topicId = (await broker.directory.describe(topic))?.topicId ?? ''
  const folder = makeFolder()
  const { writer } = platform.store
  const first = await writer.openLog({ topic, partition: 0, topicId }, offset(0n), 0)
  await appendTo(platform.store, { log: first, position: first.position }, entriesOf(0, 0, 40), 40n)
  await checkpoint(topic)
  await archive(folder, { topic })
  const closed = await writer.findLog(topic, 0)
  if (closed === null) throw new Error('no log')
  const next = await writer.openIncarnation(
    closed,
    { topicId, startOffset: offset(30n) },
    async () => topicId,
  )
  if (next.kind !== 'opened') throw new Error(next.kind)
  await appendTo(platform.store, { log: next.log, position: next.log.position }, entriesOf(0, 30, 50), 50n)
  const other = await writer.openLog({ topic, partition: 1, topicId }, offset(0n), 0)
  await appendTo(platform.store, { log: other, position: other.position }, entriesOf(1, 0, 20), 20n)
  const notes = await checkpoint(topic)
  const groupId = await committedGroup(topic, 50)

  const unasked = await recoverInto(await emptyDatabase(), folder, { notes })
  expect(unasked).toMatchObject({
    complete: false,
    logs: [
      { incarnation: 1, leaves: '40', missing: [{ state: 'unknown' }] },
      { incarnation: 2, leaves: '0', nextOffset: '30', missing: [{ state: 'unknown', toLeaf: '20' }] },
    ],
    // Without a row, ingest begins where Kafka does, under a name of its own.
    withoutArchive: [{ leaves: '20' }],
  })

  const database = await emptyDatabase()
  const report = await recoverInto(database, folder, { notes, source: broker.directory })
  const inKafka = { state: 'in-kafka', fromLeaf: '0', toLeaf: '20', toOffset: '60' }
  expect(report).toMatchObject({
    // Whether the first log had more than 40 leaves, nobody knows.
    ...{ complete: false, withoutArchive: [] },
    logs: [
      { partition: 0, incarnation: 1, leaves: '40', missing: [{ state: 'unknown', fromLeaf: '40' }] },
      { partition: 0, incarnation: 2, leaves: '0', missing: [{ ...inKafka, fromOffset: '30' }] },
      { partition: 1, incarnation: 1, leaves: '0', missing: [{ ...inKafka, fromOffset: '0' }] },
    ],
  })
  const ingest = new PlatformProcess('ingest', {
    KAFKA_BROKERS: testServers().kafkaBrokers,
    KAFKA_TOPICS: topic,
    KAFKA_GROUP_ID: groupId,
    DATABASE_URL: database.appUrl,
  })
  const connections = createDatabase({ url: database.appUrl })
  try {
    const store = createStore(connections)
    const adopted = () =>
      adoptNotes(
        { ...store, logs: store.queries },
        { notes, keys: [key.verifierKey], say: () => undefined, signal: new AbortController().signal },
      )
    await until(
      async () => (await adopted()).complete,
      40_000,
      () => ingest.output,
    )
    expect(await adopted()).toMatchObject({
      logs: [
        { leaves: '30', provenTo: '20' },
        { leaves: '60', provenTo: '20' },
      ],
    })
  } finally {
    await ingest.stop()
    await connections.close()
  }
})

// The last one: the producer keeps asking for the topic that is deleted here.
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
