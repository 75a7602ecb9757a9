/** Kafka: source side (src/kafka). */
import type { Offset, SourceRecords, UndecodableBatch } from '../domain/model.ts'

/** What one fetch brought for one source partition. */
export interface SourceBatch {
  readonly topic: string
  readonly partition: number
  /** The offset that was asked for: must equal the log's next offset. */
  readonly fetchedOffset: Offset
  /** The position after this batch, holes at the end included. */
  readonly nextOffset: Offset
  readonly highWatermark: Offset
  /** Leader epoch of the last record batch; −1 when there was none. */
  readonly leaderEpoch: number
  /** In offset order; aborted and control records are left out. Decompression happens while iterating, bounded. */
  parts(): AsyncIterable<SourcePart>
  /** Compressed size as fetched. */
  readonly bytes: number
}

export type SourcePart =
  | {
      readonly kind: 'records'
      readonly records: SourceRecords
      /**
       * True: they lie in so many bytes that a process has only one such batch open. Whoever asks for the next part, or ends
       * the iteration, holds none of them any more; others wait for that.
       */
      readonly isLarge: boolean
    }
  | { readonly kind: 'undecodable'; readonly batch: UndecodableBatch }

export interface TopicPartitionDescription {
  readonly partition: number
  readonly leaderEpoch: number
  /** −1 when the partition has no leader now. */
  readonly leader: number
}

export interface TopicDescription {
  readonly topic: string
  /** Kafka's topic id as a lower-case UUID with dashes. */
  readonly topicId: string
  readonly partitions: readonly TopicPartitionDescription[]
}

export interface TopicConfig {
  readonly cleanupPolicy: string
  readonly retentionMs: bigint
  readonly retentionBytes: bigint
  readonly maxMessageBytes: number
  readonly timestampType: 'CreateTime' | 'LogAppendTime'
  readonly timestampAfterMaxMs: bigint
  readonly timestampBeforeMaxMs: bigint
}

export interface TopicDirectory {
  /** Metadata v10; null when the topic does not exist. Throws KAFKA_UNAVAILABLE. */
  describe(topic: string, signal?: AbortSignal): Promise<TopicDescription | null>
  config(topic: string): Promise<TopicConfig>
  /** Idempotent: an existing topic is left as it is. `signal` bounds the wait for leaders. */
  create(topic: string, partitions: number, config: Record<string, string>): Promise<TopicDescription>
  /** Log start and end (read_committed last stable offset not needed) of a partition. */
  bounds(topic: string, partition: number): Promise<{ start: Offset; end: Offset }>
  /** The topic id as the partition's leader knows it now: ~1 ms, asked once per append. Throws KAFKA_UNAVAILABLE. */
  currentTopicId(topic: string, partition: number): Promise<string>
  /** OffsetForLeaderEpoch v3: end offset of the epoch, or null when the broker knows no such epoch. */
  epochEnd(topic: string, partition: number, leaderEpoch: number): Promise<Offset | null>
  /** What the group has committed; null when nothing. Throws KAFKA_UNAVAILABLE. */
  groupOffset(groupId: string, topic: string, partition: number): Promise<Offset | null>
  ping(): Promise<void>
}

export interface SourceConsumerHandlers {
  /**
   * Called once per fetched batch, also for batches emptied by filtering, one at a time per partition. Returning means
   * "fetch on"; the batch may still be worked on. A handler that takes long sends heartbeats; they may throw: let it through.
   */
  onBatch(batch: SourceBatch, heartbeat: () => Promise<void>): Promise<void>
  /** What was fetched of the partition cannot be read; it is fetched again after a wait. */
  onTrouble?(partition: number, error: unknown): void
  /** After each (re)join: what is assigned now. */
  onAssigned(partitions: readonly number[]): void
  /** The consumer died and does not come back; rebuild it. */
  onCrash(error: Error): void
}

export interface SourceConsumer {
  start(): Promise<void>
  /** Next fetch of the partition starts here. */
  seek(partition: number, offset: Offset): void
  pause(partition: number): void
  resume(partition: number): void
  /** Commits the group offset: a mirror for lag tools. Throws when the group moved on. */
  commit(partition: number, offset: Offset): Promise<void>
  /** Bounded: returns within `timeoutMs` whatever kafkajs does. */
  stop(timeoutMs: number): Promise<void>
}

export interface SourceConsumerOptions {
  readonly topic: string
  readonly groupId: string
  readonly sessionTimeoutMs: number
  readonly maxBytesPerPartition: number
  readonly minBytes: number
  readonly maxWaitMs: number
  readonly handlers: SourceConsumerHandlers
}

export interface SourceConsumerFactory {
  create(options: SourceConsumerOptions): SourceConsumer
}
