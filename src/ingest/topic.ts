import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from '../logger.ts'
import type { EventLogWriter, SourceConsumer, SourceConsumerFactory, TopicDirectory } from '../ports.ts'
import type { RecordDecoder } from './group.ts'
import { type LaneSettings, PartitionLane } from './lane.ts'
import type { IngestObserver } from './observer.ts'
import { untilAvailable } from './wait.ts'

export interface TopicIngestSettings {
  readonly groupId: string
  readonly sessionTimeoutMs: number
  readonly maxBytesPerPartition: number
  readonly minBytes: number
  readonly maxWaitMs: number
  readonly lane: LaneSettings
}

export interface TopicIngestDependencies {
  readonly consumers: SourceConsumerFactory
  readonly writer: EventLogWriter
  readonly directory: TopicDirectory
  readonly observer: IngestObserver
  readonly decode: RecordDecoder
  readonly log: Logger
  readonly settings: TopicIngestSettings
}

/** A missing topic is looked for this often. */
const lookAgainMs = 2_000
/** A dead consumer is replaced after this long, so that a topic that keeps failing costs little. */
const rebuildAfterMs = 1_000
const stopConsumerMs = 4_000

/**
 * Ingest of one topic. Each topic has a consumer of its own: kafkajs stops a whole consumer when one of its topics
 * disappears (0 of 748 records of a healthy topic in 75 s).
 */
export class TopicIngest {
  readonly #topic: string
  readonly #deps: TopicIngestDependencies
  readonly #stopped = new AbortController()
  #lanes = new Map<number, PartitionLane>()
  #running: Promise<void> | null = null

  constructor(topic: string, deps: TopicIngestDependencies) {
    this.#topic = topic
    this.#deps = deps
  }

  start(): void {
    this.#running ??= this.#run()
  }

  /** Stops taking, lets appends in flight finish, leaves the group. */
  async stop(): Promise<void> {
    this.#stopped.abort()
    await this.#running
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopped
    while (!signal.aborted) {
      try {
        await this.#untilTopicExists(signal)
        await this.#consume(signal)
      } catch (error) {
        if (!signal.aborted)
          this.#deps.log.warn('the consumer of a topic is made again', { topic: this.#topic, error })
      }
      if (!signal.aborted) await sleep(rebuildAfterMs, undefined, { signal }).catch(ignoreAbort)
    }
  }

  async #untilTopicExists(signal: AbortSignal): Promise<void> {
    const { directory, observer, log } = this.#deps
    const waiting = (code: 'KAFKA_UNAVAILABLE', detail: string): void =>
      observer.waiting(this.#topic, null, { code, detail })
    for (let said = false; ; said = true) {
      const found = await untilAvailable(
        () => directory.describe(this.#topic, signal),
        (error) => waiting('KAFKA_UNAVAILABLE', error.message),
        signal,
      )
      if (found !== null) break
      waiting('KAFKA_UNAVAILABLE', `topic ${this.#topic} does not exist`)
      if (!said) log.warn('waiting for a topic that does not exist', { topic: this.#topic })
      await sleep(lookAgainMs, undefined, { signal })
    }
    observer.waiting(this.#topic, null, null)
  }

  /** Runs one consumer until it crashes or ingest stops. */
  async #consume(signal: AbortSignal): Promise<void> {
    const { consumers, settings } = this.#deps
    if (signal.aborted) return
    const ended = Promise.withResolvers<void>()
    signal.addEventListener('abort', () => ended.resolve(), { once: true })
    this.#lanes = new Map()
    const consumer: SourceConsumer = consumers.create({
      topic: this.#topic,
      groupId: settings.groupId,
      sessionTimeoutMs: settings.sessionTimeoutMs,
      maxBytesPerPartition: settings.maxBytesPerPartition,
      minBytes: settings.minBytes,
      maxWaitMs: settings.maxWaitMs,
      handlers: {
        onBatch: async (batch) => this.#lane(consumer, batch.partition).take(batch),
        onTrouble: (partition, error) => this.#lane(consumer, partition).trouble(error),
        onAssigned: (partitions) => this.#assigned(consumer, partitions),
        onCrash: (error) => ended.reject(error),
      },
    })
    const leave = (): void => void consumer.stop(stopConsumerMs)
    try {
      // Joining waits for every other member of the group: stopping must not wait for that.
      signal.addEventListener('abort', leave, { once: true })
      await consumer.start()
      signal.removeEventListener('abort', leave)
      await ended.promise
    } finally {
      signal.removeEventListener('abort', leave)
      await Promise.all([...this.#lanes.values()].map((lane) => lane.stop()))
      await consumer.stop(stopConsumerMs)
    }
  }

  #assigned(consumer: SourceConsumer, partitions: readonly number[]): void {
    for (const [partition, lane] of this.#lanes) if (!partitions.includes(partition)) lane.release()
    for (const partition of partitions) this.#lane(consumer, partition).assign()
    this.#deps.log.info('partitions assigned', { topic: this.#topic, partitions })
  }

  #lane(consumer: SourceConsumer, partition: number): PartitionLane {
    const known = this.#lanes.get(partition)
    if (known !== undefined) return known
    const lane = new PartitionLane(this.#topic, partition, {
      ...this.#deps,
      consumer,
      groupId: this.#deps.settings.groupId,
      settings: this.#deps.settings.lane,
    })
    this.#lanes.set(partition, lane)
    return lane
  }
}

function ignoreAbort(error: unknown): void {
  if (!(error instanceof Error && error.name === 'AbortError')) throw error
}
