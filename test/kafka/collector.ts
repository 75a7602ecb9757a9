import { randomUUID } from 'node:crypto'
import { afterAll } from 'vitest'
import type { KafkaConnection } from '../../src/kafka/connection.ts'
import { createSourceConsumerFactory } from '../../src/kafka/source-consumer.ts'
import type { SourceBatch, SourceConsumer, SourceConsumerOptions, TopicDirectory } from '../../src/ports.ts'
import { recordsIn } from './record-sets.ts'

type OnBatch = (batch: SourceBatch, heartbeat: () => Promise<void>, collector: Collector) => Promise<void>

/** A source consumer and everything that it was told, with a way to wait for what must come. */
export class Collector {
  readonly consumer: SourceConsumer
  readonly topic: string
  readonly batches: SourceBatch[] = []
  readonly records = new Map<number, ReturnType<typeof recordsIn>>()
  readonly next = new Map<number, bigint>()
  readonly assignments: (readonly number[])[] = []
  crash: Error | null = null
  onAssigned: (partitions: readonly number[]) => void = () => undefined
  #watchers: (() => void)[] = []

  constructor(
    create: (options: SourceConsumerOptions) => SourceConsumer,
    topic: string,
    given: Partial<SourceConsumerOptions>,
    onBatch: OnBatch,
  ) {
    this.topic = topic
    this.consumer = create({
      topic,
      groupId: `kafkatest-${randomUUID()}`,
      sessionTimeoutMs: 10_000,
      maxBytesPerPartition: 1_048_576,
      minBytes: 1,
      maxWaitMs: 50,
      handlers: {
        onAssigned: (partitions) => {
          this.assignments.push(partitions)
          this.onAssigned(partitions)
          this.#told()
        },
        onCrash: (error) => {
          this.crash = error
          this.#told()
        },
        onBatch: async (batch, heartbeat) => {
          await onBatch(batch, heartbeat, this)
          this.#told()
        },
      },
      ...given,
    })
  }

  async take(batch: SourceBatch): Promise<void> {
    const parts = []
    for await (const part of batch.parts()) parts.push(part)
    this.batches.push(batch)
    const { partition } = batch
    this.records.set(partition, [...(this.records.get(partition) ?? []), ...recordsIn(parts)])
    this.next.set(partition, batch.nextOffset)
  }

  get assigned(): readonly number[] {
    return this.assignments.at(-1) ?? []
  }

  values(partition = 0): string[] {
    return (this.records.get(partition) ?? []).map(({ value }) => String(value))
  }

  /** Resolves as soon as the condition holds; it is looked at whenever anything happened. */
  until(condition: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const look = () => {
        if (!condition()) return
        this.#watchers = this.#watchers.filter((watcher) => watcher !== look)
        resolve()
      }
      this.#watchers.push(look)
      look()
    })
  }

  /** Resolves when the position of each partition has come to the given offset. */
  untilAt(ends: Record<number, bigint>): Promise<void> {
    return this.until(() =>
      Object.entries(ends).every(([partition, end]) => (this.next.get(Number(partition)) ?? 0n) >= end),
    )
  }

  #told(): void {
    for (const watcher of this.#watchers) watcher()
  }
}

/** Makes collectors and stops them after the test file. `sameProcess` false gives each an own assigner instance. */
export function useCollectors(connection: KafkaConnection, directory: TopicDirectory) {
  const collectors: Collector[] = []
  afterAll(() => Promise.all(collectors.map(({ consumer }) => consumer.stop(3_000))))
  return (
    topic: string,
    given: Partial<SourceConsumerOptions> = {},
    onBatch: OnBatch = (batch, _heartbeat, collector) => collector.take(batch),
  ): Collector => {
    const { create } = createSourceConsumerFactory(connection, directory)
    const collector = new Collector(create, topic, given, onBatch)
    collectors.push(collector)
    return collector
  }
}
