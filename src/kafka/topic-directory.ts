import { offset } from '../domain/model.ts'
import type { TopicConfig, TopicDescription, TopicDirectory } from '../ports.ts'
import { BrokerLink, sendRequest } from './broker-link.ts'
import type { KafkaConnection } from './connection.ts'
import { pause, within } from './deadline.ts'
import { epochEndRequest } from './epoch-end-request.ts'
import { codeFault, faultFrom, KafkaFault, unavailable } from './faults.ts'
import type { KafkaBroker } from './internals.ts'
import type { TopicMetadata } from './metadata-request.ts'
import { stableOffsetRequest } from './offset-fetch-request.ts'
import { readTopicConfig } from './topic-config.ts'

export interface KafkaTopicDirectory extends TopicDirectory {
  /** Cuts the connections; later calls fail. */
  close(): void
}

const callLimitMs = 10_000
const requestTimeoutMs = 5_000
const topicResource = 2
const earliest = -2
const latest = -1
const unknownTopic = 3
const invalidTopic = 17
const leaderNotAvailable = 5
const topicExists = 36

/**
 * What Kafka says about its topics now. Every call has 10 s; within them it reconnects and asks again after connection
 * errors and changes of leadership. Throws ServiceError KAFKA_UNAVAILABLE.
 */
export function createTopicDirectory(connection: KafkaConnection): KafkaTopicDirectory {
  return new Directory(connection)
}

class Directory implements KafkaTopicDirectory {
  readonly #connection: KafkaConnection
  readonly #asks = new Map<string, TopicIdAsks>()
  #link: BrokerLink | null = null
  #leaders = new Map<string, number>()
  #closed = false

  constructor(connection: KafkaConnection) {
    this.#connection = connection
  }

  close(): void {
    this.#closed = true
    this.#link?.destroy()
  }

  describe(topic: string, signal?: AbortSignal): Promise<TopicDescription | null> {
    return this.#ask(`topic ${topic} cannot be described`, (link) => this.#describe(link, topic), signal)
  }

  config(topic: string): Promise<TopicConfig> {
    return this.#ask(`the configuration of topic ${topic} cannot be read`, async (link) => {
      const node = await link.anyNode()
      const { resources } = await node.describeConfigs({ resources: [{ type: topicResource, name: topic }] })
      return readTopicConfig(resources[0]?.configEntries ?? [])
    })
  }

  create(topic: string, partitions: number, config: Record<string, string>): Promise<TopicDescription> {
    return this.#ask(`topic ${topic} cannot be created`, async (link, signal) => {
      await this.#create(link, topic, partitions, config)
      for (let waitMs = 10; !signal.aborted; waitMs = Math.min(2 * waitMs, 200)) {
        const description = await this.#describe(link, topic)
        if (description !== null && (await this.#isReady(link, description))) return description
        await pause(waitMs, signal)
      }
      throw new KafkaFault('no leaders yet', { connection: true })
    })
  }

  bounds(topic: string, partition: number): ReturnType<TopicDirectory['bounds']> {
    return this.#ask(`the offsets of ${topic}/${partition} cannot be read`, async (link) => {
      const leader = await this.#leader(link, topic, partition)
      const [start, end] = await Promise.all([
        listOffset(leader, topic, partition, earliest),
        listOffset(leader, topic, partition, latest),
      ])
      return { start: offset(start), end: offset(end) }
    })
  }

  /** Concurrent asks share a request only when it is sent after all of them were made: an answer is never older than its ask. */
  currentTopicId(topic: string, partition: number): Promise<string> {
    const key = `${topic}/${partition}`
    let asks = this.#asks.get(key)
    if (asks === undefined) {
      asks = new TopicIdAsks(() => this.#topicIdNow(topic, partition))
      this.#asks.set(key, asks)
    }
    return asks.ask()
  }

  epochEnd(topic: string, partition: number, leaderEpoch: number): ReturnType<TopicDirectory['epochEnd']> {
    return this.#ask(`the epochs of ${topic}/${partition} cannot be read`, async (link) => {
      const leader = await this.#leader(link, topic, partition)
      const end = await sendRequest(leader, epochEndRequest(topic, partition, leaderEpoch))
      return end === null ? null : offset(end)
    })
  }

  groupOffset(groupId: string, topic: string, partition: number): ReturnType<TopicDirectory['groupOffset']> {
    return this.#ask(`the offset of the group for ${topic}/${partition} cannot be read`, async (link) => {
      const coordinator = await link.coordinator('group', groupId)
      const found = await sendRequest(coordinator, stableOffsetRequest(groupId, topic, partition))
      return found === null ? null : offset(found.offset)
    })
  }

  async ping(): Promise<void> {
    await this.#ask('Kafka does not answer', (link) => link.metadata([]))
  }

  #topicIdNow(topic: string, partition: number): Promise<string> {
    return this.#ask(`the id of topic ${topic} cannot be read`, async (link) => {
      const leader = await this.#leader(link, topic, partition)
      const found = topicOf(await link.metadata([topic], leader), topic)
      if (found === null) throw missing()
      return found.topicId
    })
  }

  async #describe(link: BrokerLink, topic: string): Promise<TopicDescription | null> {
    const found = topicOf(await link.metadata([topic]), topic)
    if (found === null) return null
    for (const { partition, leader } of found.partitions) this.#leaders.set(`${topic}/${partition}`, leader)
    return { topic, topicId: found.topicId, partitions: sorted(found.partitions) }
  }

  async #create(link: BrokerLink, topic: string, partitions: number, config: Record<string, string>) {
    const { controllerId } = await link.metadata([])
    const configEntries = Object.entries(config).map(([name, value]) => ({ name, value }))
    const request = { topic, numPartitions: partitions, replicationFactor: -1, configEntries }
    const controller = await link.node(controllerId)
    try {
      await controller.createTopics({ topics: [request], timeout: requestTimeoutMs })
    } catch (error) {
      if (faultFrom(error).kafkaCode !== topicExists) throw error
    }
  }

  /** Brokers tell of a leader some moments before it serves the partition. */
  async #isReady(link: BrokerLink, { topic, partitions }: TopicDescription): Promise<boolean> {
    if (partitions.length === 0 || partitions.some(({ leader }) => leader < 0)) return false
    try {
      await Promise.all(
        partitions.map(async ({ partition }) =>
          listOffset(await this.#leader(link, topic, partition), topic, partition, latest),
        ),
      )
      return true
    } catch (error) {
      const fault = faultFrom(error)
      if (fault.connection || !fault.passing) throw fault
      return false
    }
  }

  async #leader(link: BrokerLink, topic: string, partition: number): Promise<KafkaBroker> {
    const key = `${topic}/${partition}`
    if (!this.#leaders.has(key) && (await this.#describe(link, topic)) === null) throw missing()
    const leader = this.#leaders.get(key)
    if (leader === undefined) throw codeFault(unknownTopic)
    if (leader < 0) {
      this.#leaders.delete(key)
      throw codeFault(leaderNotAvailable)
    }
    return link.node(leader)
  }

  /** Asks until there is an answer, at most for the limit; connection errors open a new link. */
  async #ask<T>(
    what: string,
    work: (link: BrokerLink, signal: AbortSignal) => Promise<T>,
    signal?: AbortSignal,
  ): Promise<T> {
    let last: KafkaFault | null = null
    const attempts = async (ended: AbortSignal): Promise<T> => {
      for (let waitMs = 20; ; waitMs = Math.min(2 * waitMs, 500)) {
        const link = this.#openLink()
        try {
          return await work(link, ended)
        } catch (error) {
          last = faultFrom(error)
          if (last.connection) this.#drop(link)
          if (!last.passing || ended.aborted) throw last
          this.#leaders.clear()
        }
        await pause(waitMs, ended)
        if (ended.aborted) throw last
      }
    }
    try {
      return await within(callLimitMs, signal, attempts)
    } catch (error) {
      const fault = faultFrom(error)
      // A request that never came back hangs on its connection: the next call gets a new one.
      if (fault.connection && this.#link !== null) this.#drop(this.#link)
      throw unavailable(what, last ?? fault)
    }
  }

  #openLink(): BrokerLink {
    if (this.#closed) throw new KafkaFault('the connection is closed')
    this.#link ??= new BrokerLink(this.#connection, requestTimeoutMs)
    return this.#link
  }

  #drop(link: BrokerLink): void {
    if (this.#link === link) this.#link = null
    link.destroy()
  }
}

/** One request under way and at most one waiting behind it, which all later asks share. */
class TopicIdAsks {
  readonly #request: () => Promise<string>
  #running: Promise<string> | null = null
  #waiting: Promise<string> | null = null

  constructor(request: () => Promise<string>) {
    this.#request = request
  }

  ask(): Promise<string> {
    if (this.#waiting !== null) return this.#waiting
    if (this.#running === null) return this.#start()
    const before = this.#running.catch(() => undefined)
    this.#waiting = before.then(() => {
      this.#waiting = null
      return this.#start()
    })
    return this.#waiting
  }

  #start(): Promise<string> {
    const running = this.#request().finally(() => {
      if (this.#running === running) this.#running = null
    })
    this.#running = running
    return running
  }
}

async function listOffset(leader: KafkaBroker, topic: string, partition: number, timestamp: number) {
  const request = { isolationLevel: 0, topics: [{ topic, partitions: [{ partition, timestamp }] }] }
  const { responses } = await leader.listOffsets(request)
  const found = responses[0]?.partitions.find((candidate) => candidate.partition === partition)
  if (found === undefined) throw new KafkaFault('the answer names another partition')
  return BigInt(found.offset)
}

/** null when the topic does not exist. A topic without leaders yet exists. */
function topicOf(metadata: { topics: readonly TopicMetadata[] }, topic: string): TopicMetadata | null {
  const found = metadata.topics.find(({ name }) => name === topic)
  if (found === undefined) throw new KafkaFault('the answer names another topic')
  if (found.errorCode === unknownTopic || found.errorCode === invalidTopic) return null
  if (found.errorCode !== 0 && found.errorCode !== leaderNotAvailable) throw codeFault(found.errorCode)
  return found
}

const missing = () => new KafkaFault('the topic does not exist', { kafkaCode: unknownTopic, passing: false })

const sorted = (partitions: TopicMetadata['partitions']) =>
  partitions.toSorted((a, b) => a.partition - b.partition)
