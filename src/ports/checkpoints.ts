/** Checkpoints (src/store). */
import type { KeyPeriod } from '../domain/evidence/keyPeriods.ts'
import type { Hash, LeafIndex, LogId, Offset } from '../domain/model.ts'

export interface CheckpointPosition {
  readonly logId: LogId
  readonly partition: number
  /** Covers the offsets below. */
  readonly offset: Offset
  readonly size: LeafIndex
  readonly rootHash: Hash
  /** The C2SP signed note, byte for byte; null when it was stored without a signature. */
  readonly note: string | null
}

export interface Checkpoint {
  readonly id: string
  readonly topic: string
  /** As requested; null for "all partitions" / "the head". */
  readonly partition: number | null
  readonly offset: Offset | null
  readonly createdAt: Date
  readonly createdBy: string
  readonly positions: readonly CheckpointPosition[]
}

/** `createdAt`: the instant of the signatures; the database's clock when it is left out. */
export type NewCheckpoint = Omit<Checkpoint, 'createdAt'> & {
  readonly createdAt?: Date
  /** By which it was chosen who signs, or that nobody does: it is stored only while they are these. */
  readonly signedUnder?: readonly KeyPeriod[]
}

/** What a signed checkpoint says of one log. */
export interface SignedPosition extends CheckpointPosition {
  readonly note: string
  readonly checkpointId: string
  readonly createdAt: Date
}

/** How far the checkpoints of a topic reach, as one statement saw it. */
export interface CheckpointStanding {
  /** The newest of the whole topic at its head; its age by the database's clock. */
  readonly newest: { readonly id: string; readonly createdAt: Date; readonly ageMs: number } | null
  /** Leaves of the logs that are appended to which no checkpoint covers. */
  readonly uncovered: bigint
}

export interface CheckpointStore {
  /** Stores once: the same id again returns what is stored. Throws SigningKeysChanged, and stores nothing: sign anew. */
  insertCheckpoint(checkpoint: NewCheckpoint): Promise<Checkpoint>
  getCheckpoint(id: string): Promise<Checkpoint | null>
  latestCheckpoint(filter: { topic?: string; partition?: number }): Promise<Checkpoint | null>
  /** The signed position of the log that says most. */
  largestSigned(logId: LogId): Promise<SignedPosition | null>
  /** Of the newest signed checkpoint that covers the leaf. */
  newestCovering(logId: LogId, index: LeafIndex): Promise<SignedPosition | null>
  standingOf(topic: string): Promise<CheckpointStanding>
}

export interface KeyState {
  /** Of every key that ever signed, the oldest first. */
  readonly periods: readonly KeyPeriod[]
  /** The database's clock, ms since the epoch. */
  readonly nowMs: number
  /** Of the newest checkpoint with a signature, when it is known that no other one is on its way. */
  readonly lastSignedMs?: number
}

export interface SigningKeyStore {
  keyState(): Promise<KeyState>
  /**
   * Records what `decide` changed, one caller at a time and between checkpoints: those that were signed before are stored by
   * then, and `lastSignedMs` is known. What it throws comes through, and nothing is recorded.
   */
  changeKeys<T extends { readonly periods: readonly KeyPeriod[] }>(decide: (state: KeyState) => T): Promise<T>
}
