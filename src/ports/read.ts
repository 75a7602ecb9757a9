/** Event log: read (src/store). */
import type { Hash, LeafIndex, LogId, Offset, SourceRecords } from '../domain/model.ts'
import type { EventFilters } from '../domain/replay.ts'
import type { LogState } from './append.ts'

export interface EventPage {
  readonly records: SourceRecords
  readonly leaves: readonly Hash[]
  readonly contentHashes: readonly Hash[]
  readonly leafIndexes: BigInt64Array
  /** Where the next page starts; equals the requested `to` when the range is exhausted. */
  readonly next: Offset
  /** Positions looked at, events that the filters left out included. */
  readonly scanned: number
}

export interface EventPageRequest {
  readonly logId: LogId
  readonly from: Offset
  readonly to: Offset
  readonly filters: EventFilters
  /** Bounds on *scanned* positions and on bytes returned, so that neither a sparse filter nor huge values stall. */
  readonly maxScanned: number
  readonly maxBytes: number
}

export interface LogRangeCount {
  /** Events that pass the filters. */
  readonly planned: bigint
  /** All events in the range. */
  readonly total: bigint
  /** Smallest Kafka timestamp among them (ms), null when there is none. */
  readonly minTimestamp: bigint | null
  /** Largest key + value + headers in bytes. */
  readonly maxRecordBytes: number
}

export interface EventLogReader {
  /** Newest incarnation of each partition of the topic, by partition; empty when the topic has no log. */
  logsOf(topic: string): Promise<readonly LogState[]>
  logById(id: LogId): Promise<LogState | null>
  readPage(request: EventPageRequest): Promise<EventPage>
  countRange(logId: LogId, from: Offset, to: Offset, filters: EventFilters): Promise<LogRangeCount>
  /** Leaves with an offset below `offset` (gaps and dead letters included). */
  sizeAt(logId: LogId, offset: Offset): Promise<LeafIndex>
  /** Root of the first `size` leaves, from stored nodes and at most 255 leaves per level. */
  rootAt(logId: LogId, size: LeafIndex): Promise<Hash>
  /** RFC 9162 §2.1.3, from stored nodes and leaves; `index` < `size` ≤ the log's size. Throws LOG_DAMAGED. */
  inclusionProof(logId: LogId, index: LeafIndex, size: LeafIndex): Promise<readonly Hash[]>
  /** RFC 9162 §2.1.4; 0 < `oldSize` ≤ `size` ≤ the log's size. Throws LOG_DAMAGED. */
  consistencyProof(logId: LogId, oldSize: LeafIndex, size: LeafIndex): Promise<readonly Hash[]>
}
