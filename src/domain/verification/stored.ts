/** What a log says of itself beside its rows. */
import type { Frontier, Hash } from '../model.ts'
import type { DetachedLeaves } from './detachedLeaves.ts'

/** The log's own row at the moment when its verification began. */
export interface LogHead {
  readonly size: bigint
  readonly startOffset: bigint
  readonly nextOffset: bigint
  /** Key, value and header bytes of all leaves. */
  readonly bytes: bigint
  readonly frontier: Frontier
  /** Why the bytes of `frontier` are none at all, which is then empty; null when they are one. */
  readonly flaw: string | null
  readonly createdMs: number
  /** Ingestion time of the last leaf; null for a log without leaves. */
  readonly lastIngestedMs: number | null
}

/** A log that verification is asked for by its name. */
export interface NamedLog {
  readonly logId: number
  readonly topic: string
  readonly partition: number
  readonly incarnation: number
  readonly size: bigint
}

/** A log that other tables name and that has no row of its own. Of which topic it was, its first checkpoint says, if any. */
export interface GoneLog {
  readonly logId: number
  /** Tables that name it. */
  readonly tables: readonly string[]
  readonly checkpointId: string | null
  readonly topic: string | null
  readonly partition: number | null
}

/** A row of log_nodes. */
export interface NodeRow {
  readonly level: number
  readonly index: bigint
  readonly hash: Hash
  readonly endOffset: bigint
  readonly bytes: bigint
  readonly ingestedMs: number
}

/** What a checkpoint says about the log. */
export interface CheckpointRow {
  readonly checkpointId: string
  readonly offset: bigint
  readonly size: bigint
  readonly rootHash: Hash
  /** When it was made; null when its own row is gone, or when nobody knows: it was adopted from a note. */
  readonly createdMs: number | null
  /** What is wrong with it, apart from what the leaves say; the first, when several things are. */
  readonly flaw: CheckpointFlaw | null
}

export interface CheckpointFlaw {
  readonly column: string
  /** Reads on from "the checkpoint …". */
  readonly what: string
}

/** The database's clock may go back by this much before ingest refuses to go on. */
export const CLOCK_LEAP_MS = 3_600_000

export const nodeKey = (level: number, index: bigint): string => `${level}/${index}`

/** What the blocks at hand are compared with. */
export interface Evidence {
  /** By `nodeKey`; all rows of log_nodes for the blocks below `blocksTo`. */
  readonly nodes: ReadonlyMap<string, NodeRow>
  readonly blocksTo: bigint
  /** Checkpoints whose size lies in the leaves at hand, by size. */
  readonly checkpoints: readonly CheckpointRow[]
  /** Of the leaves at hand. */
  readonly detached: DetachedLeaves
}
