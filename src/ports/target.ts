/** Kafka: replay side (src/kafka). */
import type { Offset, SourceRecords } from '../domain/model.ts'

/** Records of one page to be produced to one target partition, in order. */
export interface ProducePage {
  readonly records: SourceRecords
  /** Indexes into `records`, ascending; all when null. */
  readonly selected: Int32Array | null
  /** Wire form of the headers of record `index` (count included), replacing the stored ones; null keeps them as they are. */
  readonly headersOf: ((index: number) => Buffer) | null
}

export interface Cursor {
  readonly offset: Offset
  readonly metadata: string
}

/**
 * One transactional producer on one transactional id. Any error other than TARGET_REJECTED is an unknown outcome:
 * `close` the lane, open a new one, `begin`, `readCursor` (design §6, step 4).
 */
export interface TransactionLane {
  /** Kafka's id of this producer, the same for all owners of the transactional id as long as Kafka remembers that; null before the first `begin`. */
  readonly producerId: bigint | null
  /** InitProducerId on the first call: the only thing that fences an older owner; waits until its transaction has ended. */
  begin(): Promise<void>
  /** OffsetFetch v7 with require_stable, error 88 retried. Null when the group has no offset there. Call after the first `begin`. */
  readCursor(): Promise<Cursor | null>
  /** One produce request per call and partition, split under `maxMessageBytes` of the target. Throws TARGET_REJECTED naming the offset. */
  send(partition: number, page: ProducePage): Promise<void>
  commit(cursor: Cursor): Promise<void>
  abort(): Promise<void>
  close(): Promise<void>
}

export interface TransactionLaneOptions {
  readonly transactionalId: string
  readonly groupId: string
  /** The cursor is kept at (targetTopic, partition 0). */
  readonly targetTopic: string
  readonly maxMessageBytes: number
  readonly transactionTimeoutMs: number
}

export interface TransactionLaneFactory {
  open(options: TransactionLaneOptions, signal: AbortSignal): Promise<TransactionLane>
}

export type LastRecord<T> =
  | { readonly kind: 'found'; readonly value: T; readonly producerId: bigint }
  /** No committed record of [start, end) is wanted; Kafka has nothing below `start` any more. */
  | { readonly kind: 'none'; readonly start: Offset }
  /** Reading is not allowed here; `reason` is for people. */
  | { readonly kind: 'unreadable'; readonly reason: string }

/** Records of a partition as a read_committed consumer sees them, from an offset up to the end that was asked for. */
export interface TargetScan {
  /** First offset that Kafka still has. */
  readonly start: Offset
  /** The end as it was when the scan was opened, or as it was asked for. */
  readonly end: Offset
  /** Null at the end. What cannot be opened is left out of `records` and counted. Throws KAFKA_UNAVAILABLE. */
  next(): Promise<{
    readonly records: readonly SourceRecords[]
    readonly undecodable: number
    /** First offset behind them. */
    readonly next: Offset
  } | null>
  close(): void
}

export interface TargetReader {
  /** From `from` on; waits while an open transaction hides records below the end. Throws KAFKA_UNAVAILABLE. */
  scan(
    place: { readonly topic: string; readonly partition: number },
    from: Offset,
    end: Offset | null,
    signal: AbortSignal,
  ): Promise<TargetScan>
  /**
   * The last committed record of a partition for which `pick` gives a value, looked for from the end backwards: the end as it
   * is when the call is made. Waits while an open transaction hides records below it. Reads at most the whole partition.
   * Throws KAFKA_UNAVAILABLE.
   */
  lastRecord<T>(
    place: { readonly topic: string; readonly partition: number },
    pick: (records: SourceRecords, index: number) => T | null,
    signal: AbortSignal,
  ): Promise<LastRecord<T>>
}
