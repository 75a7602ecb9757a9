/** How far the verification of one log has come: all that is needed to go on exactly, as values and as JSON. */
import { emptyFrontier, frontierFromBase64, frontierToBase64 } from '../merkle.ts'
import type { Frontier, LeafIndex } from '../model.ts'
import { type DetachedCount, noneDetached } from './detachedLeaves.ts'
import { type Findings, noFindings } from './finding.ts'
import type { LogHead } from './stored.ts'

/** Where each of the three tables is read on. */
export interface ReadPosition {
  /** Beginning of the time span that events are read from, as PostgreSQL writes it; null before the first one. */
  readonly span: string | null
  readonly event: bigint
  readonly deadLetter: bigint
  readonly gap: bigint
}

export interface LeafCounts {
  readonly events: bigint
  readonly deadLetters: bigint
  readonly gaps: bigint
  /** Dead letters whose code depends on settings or on the database of their time, so that no bytes can prove it. */
  readonly unproven: bigint
  readonly checkpoints: bigint
}

/** Always at the border of a block of 256 leaves, or at the end. */
export interface Progress {
  readonly head: LogHead
  readonly read: ReadPosition
  /** Leaves that are accounted for. */
  readonly size: LeafIndex
  /** Compact range over the roots of the complete blocks, as the rows give them. */
  readonly blocks: Frontier
  /** The same as log_nodes has them; null while both are one. */
  readonly nodeBlocks: Frontier | null
  /** First offset behind the last row. */
  readonly endOffset: bigint
  /** Key, value and header bytes so far. */
  readonly bytes: bigint
  readonly ingestedMs: number
  readonly counts: LeafCounts
  /** Leaves that are away on purpose: no row stands for them, and none was looked at. */
  readonly detached: DetachedCount
  readonly findings: Findings
  readonly done: boolean
}

const LOWEST = -(2n ** 63n)
const noCounts: LeafCounts = { events: 0n, deadLetters: 0n, gaps: 0n, unproven: 0n, checkpoints: 0n }

export const startOf = (head: LogHead): Progress => ({
  head,
  read: { span: null, event: LOWEST, deadLetter: LOWEST, gap: LOWEST },
  size: 0n as LeafIndex,
  blocks: emptyFrontier,
  nodeBlocks: null,
  endOffset: head.startOffset,
  bytes: 0n,
  ingestedMs: head.createdMs,
  counts: noCounts,
  detached: noneDetached,
  findings: noFindings,
  done: false,
})

/** Decimal strings and base64: what travels through Temporal. A few kilobytes at most. */
export interface ProgressJson {
  readonly head: Record<'size' | 'startOffset' | 'nextOffset' | 'bytes' | 'frontier', string> & {
    readonly createdMs: number
    readonly lastIngestedMs: number | null
    /** Progress of earlier versions lacks it. */
    readonly flaw?: string | null
  }
  readonly read: Record<'event' | 'deadLetter' | 'gap', string> & { readonly span: string | null }
  readonly size: string
  readonly blocks: string
  readonly nodeBlocks: string | null
  readonly endOffset: string
  readonly bytes: string
  readonly ingestedMs: number
  readonly counts: Readonly<Record<keyof LeafCounts, string>>
  /** Progress of earlier versions lacks it. */
  readonly detached?: Omit<DetachedCount, 'leaves'> & { readonly leaves: string }
  readonly findings: Findings
  readonly done: boolean
}

export const progressToJson = (progress: Progress): ProgressJson => {
  const { head, read, counts, blocks, nodeBlocks } = progress
  return {
    ...progress,
    head: {
      ...head,
      size: String(head.size),
      startOffset: String(head.startOffset),
      nextOffset: String(head.nextOffset),
      bytes: String(head.bytes),
      frontier: frontierToBase64(head.frontier),
    },
    read: {
      span: read.span,
      event: String(read.event),
      deadLetter: String(read.deadLetter),
      gap: String(read.gap),
    },
    size: String(progress.size),
    blocks: frontierToBase64(blocks),
    nodeBlocks: nodeBlocks === null ? null : frontierToBase64(nodeBlocks),
    endOffset: String(progress.endOffset),
    bytes: String(progress.bytes),
    counts: {
      events: String(counts.events),
      deadLetters: String(counts.deadLetters),
      gaps: String(counts.gaps),
      unproven: String(counts.unproven),
      checkpoints: String(counts.checkpoints),
    },
    detached: { ...progress.detached, leaves: String(progress.detached.leaves) },
  }
}

/** Inverse of `progressToJson`. */
export const progressFromJson = (json: ProgressJson): Progress => ({
  ...json,
  head: {
    ...json.head,
    size: BigInt(json.head.size),
    startOffset: BigInt(json.head.startOffset),
    nextOffset: BigInt(json.head.nextOffset),
    bytes: BigInt(json.head.bytes),
    frontier: frontierFromBase64(json.head.frontier),
    flaw: json.head.flaw ?? null,
  },
  read: {
    span: json.read.span,
    event: BigInt(json.read.event),
    deadLetter: BigInt(json.read.deadLetter),
    gap: BigInt(json.read.gap),
  },
  size: BigInt(json.size) as LeafIndex,
  blocks: frontierFromBase64(json.blocks),
  nodeBlocks: json.nodeBlocks === null ? null : frontierFromBase64(json.nodeBlocks),
  endOffset: BigInt(json.endOffset),
  bytes: BigInt(json.bytes),
  counts: {
    events: BigInt(json.counts.events),
    deadLetters: BigInt(json.counts.deadLetters),
    gaps: BigInt(json.counts.gaps),
    unproven: BigInt(json.counts.unproven),
    checkpoints: BigInt(json.counts.checkpoints),
  },
  detached:
    json.detached === undefined ? noneDetached : { ...json.detached, leaves: BigInt(json.detached.leaves) },
})
