/** How far the comparison of a target partition with one log of a replay has come: values and JSON. */
import { emptyFrontier, frontierFromBase64, frontierToBase64 } from '../merkle.ts'
import type { Frontier } from '../model.ts'
import { type Findings, noFindings } from './finding.ts'

/** Source offsets of planned events that were passed over: they may still come, and are then out of order. */
export const MAX_PASSED_OVER = 5_000

export interface TargetProgress {
  /** End of the target partition when the comparison began; null before. */
  readonly end: bigint | null
  /** First offset of the target that Kafka still had. */
  readonly start: bigint
  /** Where the target is read on. */
  readonly target: bigint
  /** First source offset whose event was not met yet. */
  readonly source: bigint
  readonly passedOver: readonly bigint[]
  /** Passed over beyond those. */
  readonly forgotten: bigint
  /** Records of this replay that were read. */
  readonly produced: bigint
  /** Of them, those that are as planned. */
  readonly matched: bigint
  /** Records of others. */
  readonly foreign: bigint
  readonly firstForeign: bigint | null
  /** Compact range over the leaves of what was produced, in its order. */
  readonly frontier: Frontier
  readonly findings: Findings
  readonly done: boolean
}

export const startOfTarget = (source: bigint): TargetProgress => ({
  end: null,
  start: 0n,
  target: 0n,
  source,
  passedOver: [],
  forgotten: 0n,
  produced: 0n,
  matched: 0n,
  foreign: 0n,
  firstForeign: null,
  frontier: emptyFrontier,
  findings: noFindings,
  done: false,
})

export interface TargetProgressJson {
  readonly end: string | null
  readonly start: string
  readonly target: string
  readonly source: string
  readonly passedOver: readonly string[]
  readonly forgotten: string
  readonly produced: string
  readonly matched: string
  readonly foreign: string
  readonly firstForeign: string | null
  readonly frontier: string
  readonly findings: Findings
  readonly done: boolean
  /** As `produced`: what all verifications tell. */
  readonly size: string
}

export const targetToJson = (progress: TargetProgress): TargetProgressJson => ({
  end: progress.end === null ? null : String(progress.end),
  start: String(progress.start),
  target: String(progress.target),
  source: String(progress.source),
  passedOver: progress.passedOver.map(String),
  forgotten: String(progress.forgotten),
  produced: String(progress.produced),
  matched: String(progress.matched),
  foreign: String(progress.foreign),
  firstForeign: progress.firstForeign === null ? null : String(progress.firstForeign),
  frontier: frontierToBase64(progress.frontier),
  findings: progress.findings,
  done: progress.done,
  size: String(progress.produced),
})

/** Inverse of `targetToJson`. */
export const targetFromJson = (json: TargetProgressJson): TargetProgress => ({
  end: json.end === null ? null : BigInt(json.end),
  start: BigInt(json.start),
  target: BigInt(json.target),
  source: BigInt(json.source),
  passedOver: json.passedOver.map(BigInt),
  forgotten: BigInt(json.forgotten),
  produced: BigInt(json.produced),
  matched: BigInt(json.matched),
  foreign: BigInt(json.foreign),
  firstForeign: json.firstForeign === null ? null : BigInt(json.firstForeign),
  frontier: frontierFromBase64(json.frontier),
  findings: json.findings,
  done: json.done,
})
