import { randomUUID } from 'node:crypto'
import type { Consumer, EachBatchPayload } from 'kafkajs'
import type { Offset } from '../domain/model.ts'
import type {
  SourceConsumer,
  SourceConsumerFactory,
  SourceConsumerOptions,
  TopicDirectory,
} from '../ports.ts'
import type { KafkaClient, KafkaConnection } from './connection.ts'
import { pause as wait, within } from './deadline.ts'
import { KafkaFault, unavailable } from './faults.ts'
import { createPartitionAssigner } from './partition-assigner.ts'
import { type FetchedSet, openSourceBatch } from './source-batch.ts'

/** A node that is silent for this long is given up and asked for elsewhere; less than a session, which ends meanwhile. */
const requestTimeoutMs = 6_000
/** Joining waits for every other member of the group to join again. */
const startLimitMs = 90_000
/** kafkajs' own tries after an error; it sends no heartbeats meanwhile, so all of them together stay under a session. */
const retries = 8
const partitionsAtOnce = 4
const largestFetchBytes = 16 * 1024 * 1024
/** New partitions of the topic are seen within this time. */
const metadataMaxAgeMs = 30_000
const firstBackoffMs = 100
const longestBackoffMs = 2_000

/**
 * Consumers of source topics: one kafkajs consumer per topic, so that a topic that goes away stops nobody else, all in one
 * group, whose partitions are shared out by an assigner of our own.
 */
export function createSourceConsumerFactory(
  connection: KafkaConnection,
  directory: TopicDirectory,
): SourceConsumerFactory {
  const instance = randomUUID()
  return { create: (options) => new TopicConsumer(connection, directory, instance, options) }
}

class TopicConsumer implements SourceConsumer {
  readonly #connection: KafkaConnection
  readonly #options: SourceConsumerOptions
  readonly #client: KafkaClient
  readonly #consumer: Consumer
  readonly #stopping = new AbortController()
  readonly #paused = new Set<number>()
  readonly #failures = new Map<number, number>()
  #assigned: readonly number[] = []
  #running = false
  #started = false
  #commitOffsets: EachBatchPayload['commitOffsetsIfNecessary'] | null = null

  constructor(
    connection: KafkaConnection,
    directory: TopicDirectory,
    instance: string,
    options: SourceConsumerOptions,
  ) {
    this.#connection = connection
    this.#options = options
    this.#client = connection.openClient({ requestTimeoutMs, retries })
    const assigner = createPartitionAssigner(directory, instance, () => this.#assigned)
    this.#consumer = this.#client.kafka.consumer({
      groupId: options.groupId,
      partitionAssigners: [assigner],
      sessionTimeout: options.sessionTimeoutMs,
      rebalanceTimeout: Math.max(options.sessionTimeoutMs, 15_000),
      heartbeatInterval: Math.max(200, Math.floor(options.sessionTimeoutMs / 10)),
      maxBytesPerPartition: options.maxBytesPerPartition,
      maxBytes: largestFetchBytes,
      minBytes: options.minBytes,
      maxWaitTimeInMs: options.maxWaitMs,
      metadataMaxAge: metadataMaxAgeMs,
      allowAutoTopicCreation: false,
      readUncommitted: false,
      rawRecordSets: true,
      retry: { retries, initialRetryTime: 50, maxRetryTime: 1_000, restartOnFailure: async () => false },
    })
  }

  async start(): Promise<void> {
    const { topic } = this.#options
    this.#listen()
    try {
      await within(startLimitMs, this.#stopping.signal, async () => {
        await this.#consumer.connect()
        await this.#consumer.subscribe({ topics: [topic], fromBeginning: true })
        const crashed = this.#crashWhileStarting()
        const running = this.#consumer.run({
          autoCommit: false,
          eachBatchAutoResolve: false,
          partitionsConsumedConcurrently: partitionsAtOnce,
          eachBatch: (payload) => this.#onBatch(payload),
        })
        await Promise.race([crashed, running])
      })
      this.#started = true
    } catch (error) {
      this.#stopping.abort()
      this.#client.destroy()
      throw unavailable(`topic ${topic} cannot be read`, error)
    }
  }

  seek(partition: number, offset: Offset): void {
    if (!this.#running) return
    this.#consumer.seek({ topic: this.#options.topic, partition, offset: offset.toString() })
  }

  pause(partition: number): void {
    this.#paused.add(partition)
    if (this.#running) this.#consumer.pause([{ topic: this.#options.topic, partitions: [partition] }])
  }

  resume(partition: number): void {
    if (!this.#paused.delete(partition)) return
    if (this.#running) this.#consumer.resume([{ topic: this.#options.topic, partitions: [partition] }])
  }

  async commit(partition: number, offset: Offset): Promise<void> {
    const { topic } = this.#options
    const what = `the group offset of ${topic}/${partition} cannot be committed`
    if (!this.#assigned.includes(partition))
      throw unavailable(what, new KafkaFault('the partition is not assigned here'))
    const place = { partition, offset: offset.toString() }
    try {
      // kafkajs' public commit tries again for seconds; the one that it hands to eachBatch asks once. A topic that is quiet
      // has no batch.
      if (this.#commitOffsets === null) await this.#consumer.commitOffsets([{ topic, ...place }])
      else await this.#commitOffsets({ topics: [{ topic, partitions: [place] }] })
    } catch (error) {
      throw unavailable(what, error)
    }
  }

  async stop(timeoutMs: number): Promise<void> {
    this.#stopping.abort()
    this.#running = false
    try {
      await within(timeoutMs, undefined, () => this.#consumer.disconnect())
    } catch (error) {
      const { topic } = this.#options
      this.#connection.log.debug(
        { topic, reason: unavailable('stop', error).message },
        'the consumer did not stop in time; its connections are cut',
      )
    } finally {
      this.#client.destroy()
    }
  }

  /** `run` resolves although joining the group failed: what it then reports is a crash. */
  #crashWhileStarting(): Promise<never> {
    return new Promise((_, reject) => {
      const off = this.#consumer.on(this.#consumer.events.CRASH, ({ payload }) => {
        off()
        reject(payload.error)
      })
    })
  }

  #listen(): void {
    const { events } = this.#consumer
    this.#consumer.on(events.GROUP_JOIN, ({ payload }) => {
      if (this.#stopping.signal.aborted) return
      this.#running = true
      this.#assigned = payload.memberAssignment[this.#options.topic] ?? []
      for (const partition of this.#paused) this.pause(partition)
      this.#options.handlers.onAssigned(this.#assigned)
    })
    this.#consumer.on(events.CRASH, ({ payload }) => {
      this.#running = false
      this.#client.destroy()
      // Before that, `start` tells it.
      if (this.#stopping.signal.aborted || !this.#started) return
      this.#options.handlers.onCrash(unavailable(`reading ${this.#options.topic} failed`, payload.error))
    })
  }

  async #onBatch(payload: EachBatchPayload): Promise<void> {
    const { batch, heartbeat, isStale, resolveOffset } = payload
    // A seek came after the fetch: what it brought is from the old position.
    if (this.#stopping.signal.aborted || isStale()) return
    this.#commitOffsets = payload.commitOffsetsIfNecessary
    const guard = new HeartbeatGuard(heartbeat)
    try {
      const source = openSourceBatch(batch as unknown as FetchedSet)
      await this.#options.handlers.onBatch(source, guard.heartbeat)
      this.#failures.delete(batch.partition)
      if (!this.#stopping.signal.aborted) resolveOffset((source.nextOffset - 1n).toString())
    } catch (error) {
      if (guard.failure !== null) throw guard.failure
      if (this.#stopping.signal.aborted) throw error
      await this.#backOff(batch.partition, error, heartbeat)
    }
  }

  /**
   * A failed handler must not count against kafkajs, whose counter never resets (#1592) and whose waits send no heartbeats:
   * the offset stays where it was, so the same batch is fetched again after the wait.
   */
  async #backOff(partition: number, error: unknown, heartbeat: () => Promise<void>): Promise<void> {
    const failures = (this.#failures.get(partition) ?? 0) + 1
    this.#failures.set(partition, failures)
    const backoffMs = Math.min(firstBackoffMs * 2 ** (failures - 1), longestBackoffMs)
    const { topic, handlers } = this.#options
    const trouble = unavailable(`a batch of ${topic}/${partition} cannot be read`, error)
    handlers.onTrouble?.(partition, trouble)
    this.#connection.log.warn(
      { topic, partition, failures, backoffMs, reason: trouble.message },
      'a batch failed; it is read again',
    )
    const until = performance.now() + backoffMs
    for (let left = backoffMs; left > 0; left = until - performance.now()) {
      await wait(Math.min(left, 500), this.#stopping.signal)
      if (this.#stopping.signal.aborted) return
      await heartbeat()
    }
  }
}

/** Keeps a failed heartbeat, which kafkajs must see as it is in order to rejoin, whatever the handler makes of it. */
class HeartbeatGuard {
  failure: unknown = null
  readonly heartbeat: () => Promise<void>

  constructor(heartbeat: () => Promise<void>) {
    this.heartbeat = async () => {
      try {
        await heartbeat()
      } catch (error) {
        this.failure = error
        throw error
      }
    }
  }
}
