/**
 * The words of the domain as types. One word, one meaning (docs/design.md, "Words").
 * Nothing here does I/O, reads a clock or draws a random number.
 */

declare const brand: unique symbol
type Branded<T, B extends string> = T & { readonly [brand]: B }

/** Key of a log in `partition_logs`: one source topic-partition in one incarnation of its topic. */
export type LogId = Branded<number, 'LogId'>
/** Kafka's index in a source partition. Holes are normal: compaction, transaction markers, aborted records. */
export type Offset = Branded<bigint, 'Offset'>
/** Dense index 0, 1, 2… of a leaf in its log; as a size, the number of leaves. */
export type LeafIndex = Branded<bigint, 'LeafIndex'>
/**
 * The 32 bytes of a SHA-256 as a latin1 string, one character a byte. Measured: `crypto.hash(…, 'latin1')` costs
 * 0.28 µs for 65 bytes where a Buffer costs 0.80 (design §4). Only `hashToHex`, `hashToBytes` and their inverses
 * (domain/hash.ts) turn it into something for people or for the wire.
 */
export type Hash = Branded<string, 'Hash'>

export const logId = (value: number): LogId => value as LogId
export const offset = (value: bigint): Offset => value as Offset
export const leafIndex = (value: bigint): LeafIndex => value as LeafIndex

export const classifications = ['UNCLASSIFIED', 'CONFIDENTIAL', 'SECRET', 'TOP_SECRET'] as const
export type Classification = (typeof classifications)[number]

/** Why a source record could not be accepted. Closed: a new reason is a change of this list and of the docs. */
export const deadLetterCodes = [
  'INVALID_UTF8',
  'INVALID_JSON',
  'TOO_DEEP',
  'SCHEMA',
  'HASH_MISMATCH',
  'SIGNATURE',
  'TOMBSTONE',
  'TOO_LARGE',
  'DUPLICATE_ID',
  'ID_CONFLICT',
  'REPLAYED',
  'UNSTORABLE',
  'UNDECODABLE_BATCH',
] as const
export type DeadLetterCode = (typeof deadLetterCodes)[number]

/**
 * The records of one Kafka record batch as they arrived, as parallel arrays over one buffer: no object per record.
 * Immutable once made; the buffer is not reused while anybody holds this.
 */
export interface SourceRecords {
  readonly bytes: Buffer
  readonly count: number
  readonly offsets: BigInt64Array
  /** Kafka timestamps in ms since the epoch; −1 when the record has none. */
  readonly timestamps: BigInt64Array
  /** Start of the key in `bytes`, −1 for a null key. */
  readonly keyStarts: Int32Array
  readonly keyEnds: Int32Array
  /** Start of the value in `bytes`, −1 for a null value (a tombstone). */
  readonly valueStarts: Int32Array
  readonly valueEnds: Int32Array
  /** Headers in Kafka's own record encoding: varint count, then per header varint-length key and value (−1 null). */
  readonly headerStarts: Int32Array
  readonly headerEnds: Int32Array
}

/** A record batch that no limit-respecting decoder can open; it becomes one dead letter and one leaf. */
export interface UndecodableBatch {
  readonly firstOffset: Offset
  readonly lastOffset: Offset
  /** Kafka's max timestamp of the batch header; −1 when it has none. */
  readonly timestamp: bigint
  /** The whole record batch as it arrived, header included, still compressed. */
  readonly bytes: Buffer
  readonly detail: string
}

/** What decoding found out about an accepted record; all of it can be derived from the bytes again. */
export interface AcceptedEvent {
  readonly kind: 'event'
  /** UUID, lower case, with dashes. */
  readonly id: string
  readonly type: string
  readonly source: string
  readonly tenantId: string | null
  /** Event time, integer ms in 0…253402300799999. */
  readonly timestampMs: number
  readonly classification: Classification
  /** Sorted, unique. */
  readonly policyTags: readonly string[]
  readonly contentHash: Hash
}

export interface Rejection {
  readonly kind: 'rejected'
  readonly code: DeadLetterCode
  /** For a person: what is wrong and where; never holds the value itself. At most 1,000 characters. */
  readonly detail: string
}

export type Decoded = AcceptedEvent | Rejection

/** One source record on its way into the log: where its bytes lie, what it is, its leaf. */
export interface RecordEntry {
  readonly kind: 'record'
  readonly records: SourceRecords
  readonly index: number
  readonly decoded: Decoded
  readonly leaf: Hash
}

export interface UndecodableEntry {
  readonly kind: 'undecodable'
  readonly batch: UndecodableBatch
  readonly leaf: Hash
}

/** Source offsets [from, to) that Kafka no longer had. A gap has a leaf of its own. */
export interface GapEntry {
  readonly kind: 'gap'
  readonly from: Offset
  readonly to: Offset
  readonly leaf: Hash
}

export type LogEntry = RecordEntry | UndecodableEntry | GapEntry

/** Compact range of the whole log: roots of the perfect subtrees, largest first; at most 64. */
export type Frontier = readonly Hash[]

/** How far a log has come; moves only in the transaction that appends the rows. */
export interface LogPosition {
  readonly nextOffset: Offset
  readonly size: LeafIndex
  readonly frontier: Frontier
}

/** A source partition in one life of its topic. `topicId` is Kafka's UUID, lower case, with dashes. */
export interface LogIdentity {
  readonly topic: string
  readonly partition: number
  readonly topicId: string
}

/** Interior node worth keeping: root of the perfect subtree `[index << level, (index + 1) << level)`; level 8, 16, 24… */
export interface StoredNode {
  readonly level: number
  readonly index: bigint
  readonly hash: Hash
}
