/** What a log says of itself beside its rows. */
import type { Frontier, Hash } from '../model.ts'

/** The log's own row at the moment when its verification began. */
export interface LogHead {
  readonly size: bigint
  readonly startOffset: bigint
  readonly nextOffset: bigint
  /** Key, value and header bytes of all leaves. */
  readonly bytes: bigint
  readonly frontier: Frontier
  readonly createdMs: number
  /** Ingestion time of the last leaf; null for a log without leaves. */
  readonly lastIngestedMs: number | null
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
  /**
   * What is wrong with its signed note: that it says otherwise, or that the installation's keys of that time have not signed
   * it. Reads on from "the checkpoint …"; null when nothing is.
   */
  readonly noteFlaw: string | null
}

export const nodeKey = (level: number, index: bigint): string => `${level}/${index}`

/** What the blocks at hand are compared with. */
export interface Evidence {
  /** By `nodeKey`; all rows of log_nodes for the blocks below `blocksTo`. */
  readonly nodes: ReadonlyMap<string, NodeRow>
  readonly blocksTo: bigint
  /** Checkpoints whose size lies in the leaves at hand, by size. */
  readonly checkpoints: readonly CheckpointRow[]
}
