import { afterAll, beforeAll, expect, it } from 'vitest'
import { offset } from '../../src/domain/model.ts'
import { type OpenDependencies, type Opened, openSourceLog } from '../../src/ingest/open.ts'
import { createTopicDirectory, type KafkaTopicDirectory } from '../../src/kafka/topic-directory.ts'
import { createLogger } from '../../src/logger.ts'
import type { TopicDirectory } from '../../src/ports.ts'
import { brokers, connectionTo } from '../kafka/broker.ts'
import { eventEntries } from '../store/entries.ts'
import { appendTo, useStore } from '../store/fixture.ts'
import { TestKafka } from '../support/source.ts'

// A node that was frozen answers for a moment as the leader that it was: with an end below what the log has taken.

const fixture = useStore('stale_node')
let kafka: TestKafka
let directory: KafkaTopicDirectory

beforeAll(async () => {
  kafka = await TestKafka.connect()
  directory = createTopicDirectory(connectionTo(brokers()))
})
afterAll(async () => {
  directory.close()
  await kafka.close()
})

/** The first so many answers about the ends of partitions are those of before. */
function staleFor(answers: number): TopicDirectory {
  let left = answers
  const bounds: TopicDirectory['bounds'] = async (topic, partition) => {
    const now = await directory.bounds(topic, partition)
    return left-- > 0 ? { ...now, end: offset(now.end - 1n) } : now
  }
  return new Proxy<TopicDirectory>(directory, {
    get(target, name) {
      if (name === 'bounds') return bounds
      const method: unknown = Reflect.get(target, name)
      return typeof method === 'function' ? method.bind(target) : method
    },
  })
}

const observer: OpenDependencies['observer'] = {
  appended: () => undefined,
  lag: () => undefined,
  gap: () => undefined,
  opened: () => undefined,
  released: () => undefined,
  closed: () => undefined,
  waiting: () => undefined,
}

/** Opens a log that has taken all of its topic's records. */
async function openBehind(answers: number): Promise<Opened> {
  const { store } = fixture
  const topic = await kafka.topic(1)
  await kafka.producer.send({
    topic,
    messages: Array.from({ length: 10 }, () => ({ value: 'x', partition: 0 })),
  })
  const { topicId } = (await directory.describe(topic)) ?? { topicId: '' }
  const log = await store.writer.openLog({ topic, partition: 0, topicId }, offset(0n), -1)
  await appendTo(store, { log, position: log.position }, eventEntries(0n, 10n), 10n)
  const { writer } = store
  const quiet = createLogger({ level: 'error', fields: {} })
  return openSourceLog(
    { writer, directory: staleFor(answers), observer, groupId: topic, log: quiet },
    topic,
    0,
  )
}

it('one stale answer closes no log', async () => {
  expect(await openBehind(1)).toMatchObject({ kind: 'open' })
})

it('a second one of the kind does', async () => {
  expect(await openBehind(2)).toMatchObject({ kind: 'closed', code: 'SOURCE_TRUNCATED' })
})
