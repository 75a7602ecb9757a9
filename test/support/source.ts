import { randomUUID } from 'node:crypto'
import kafkajs, { type Admin, type Kafka, type Producer } from 'kafkajs'
import { testServers } from './servers.ts'

/** A valid event of the seed's shape; `overrides` replace top-level members. */
export function validEvent(overrides: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  return {
    id: randomUUID(),
    type: 'entity.created',
    source: 'intelligence-platform',
    timestamp: 1_760_000_000_000,
    data: { name: 'Ada', score: 0.5, tags: ['a', 'b'] },
    metadata: { version: '1', tenantId: 'tenant-001', correlationId: 'c-1' },
    ...overrides,
  }
}

/** A plain client of the test broker, for topics of the tests' own. */
export class TestKafka {
  readonly kafka: Kafka
  readonly #admin: Admin
  readonly #producer: Producer
  readonly #topics: string[] = []

  private constructor(kafka: Kafka) {
    this.kafka = kafka
    this.#admin = kafka.admin()
    this.#producer = kafka.producer({ createPartitioner: kafkajs.Partitioners.DefaultPartitioner })
  }

  static async connect(): Promise<TestKafka> {
    const brokers = testServers().kafkaBrokers.split(',')
    const client = new TestKafka(new kafkajs.Kafka({ brokers, logLevel: kafkajs.logLevel.NOTHING }))
    await client.#admin.connect()
    await client.#producer.connect()
    return client
  }

  get admin(): Admin {
    return this.#admin
  }

  get producer(): Producer {
    return this.#producer
  }

  async topic(partitions = 1, config: Readonly<Record<string, string>> = {}): Promise<string> {
    const topic = `test-${randomUUID()}`
    await this.createTopic(topic, partitions, config)
    return topic
  }

  async createTopic(
    topic: string,
    partitions: number,
    config: Readonly<Record<string, string>> = {},
  ): Promise<void> {
    this.#topics.push(topic)
    await this.#admin.createTopics({
      waitForLeaders: true,
      topics: [
        {
          topic,
          numPartitions: partitions,
          replicationFactor: 1,
          configEntries: Object.entries(config).map(([name, value]) => ({ name, value })),
        },
      ],
    })
  }

  /** Deletes the topics made here and disconnects. */
  async close(): Promise<void> {
    const known = new Set(await this.#admin.listTopics())
    const topics = [...new Set(this.#topics)].filter((topic) => known.has(topic))
    if (topics.length > 0) await this.#admin.deleteTopics({ topics })
    await this.#producer.disconnect()
    await this.#admin.disconnect()
  }
}
