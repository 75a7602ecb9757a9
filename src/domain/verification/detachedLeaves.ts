/**
 * Leaves that went away on purpose, with a day that verified archives hold: no row stands for them, and nothing is wrong with
 * that. What they hash to, the stored nodes say, or the record of the detachment where no node is of them alone.
 */
import type { Hash } from '../model.ts'

/** Without holes, [from, to). */
export interface DetachedRun {
  /** Key of the detachment's record. */
  readonly detachment: string
  readonly day: string
  readonly from: bigint
  readonly to: bigint
  /** Behind the last of them. */
  readonly toOffset: bigint
}

export interface DetachedLeaves {
  /** In order. */
  readonly runs: readonly DetachedRun[]
  /** Of leaves in blocks that the day did not fill alone, or in which a checkpoint ends. */
  readonly hashes: ReadonlyMap<bigint, Hash>
}

export const noDetachedLeaves: DetachedLeaves = { runs: [], hashes: new Map() }

/** What of a block is away. */
export interface Away {
  /** Places in the block, and what its leaf was; null where only the block's node tells. */
  readonly places: ReadonlyMap<number, Hash | null>
  readonly runs: readonly DetachedRun[]
}

/** Of the leaves [base, base + count); null when none of them is away. */
export function awayIn({ runs, hashes }: DetachedLeaves, base: bigint, count: number): Away | null {
  const end = base + BigInt(count)
  const places = new Map<number, Hash | null>()
  const clipped: DetachedRun[] = []
  for (let at = firstBehind(runs, base); at < runs.length; at++) {
    const run = runs[at] as DetachedRun
    if (run.from >= end) break
    const from = run.from > base ? run.from : base
    const to = run.to < end ? run.to : end
    for (let leaf = from; leaf < to; leaf++) places.set(Number(leaf - base), hashes.get(leaf) ?? null)
    clipped.push({ ...run, from, to })
  }
  return places.size === 0 ? null : { places, runs: clipped }
}

/** The first run that ends behind `leaf`. */
function firstBehind(runs: readonly DetachedRun[], leaf: bigint): number {
  let low = 0
  let high = runs.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((runs[middle] as DetachedRun).to > leaf) high = middle
    else low = middle + 1
  }
  return low
}

/** Of one day, as decimal strings: part of what travels through Temporal. */
export interface DetachedDay {
  readonly detachment: string
  readonly day: string
  /** First of them, and behind the last: dead letters between them stay. */
  readonly fromLeaf: string
  readonly toLeaf: string
  readonly leaves: string
}

export interface DetachedCount {
  readonly leaves: bigint
  /** The first of them. */
  readonly days: readonly DetachedDay[]
  /** Days that are not listed. */
  readonly more: number
  /** Detachment of the last run that was counted. */
  readonly last: string | null
}

export const noneDetached: DetachedCount = { leaves: 0n, days: [], more: 0, last: null }

/** Some kilobytes. */
const MAX_DAYS = 50

/** Runs come in the order of the log. */
export function countDetached(before: DetachedCount, runs: readonly DetachedRun[]): DetachedCount {
  let { leaves, more, last } = before
  const days = [...before.days]
  for (const { detachment, day, from, to } of runs) {
    leaves += to - from
    const at = days.findIndex((each) => each.detachment === detachment)
    const known = days[at]
    if (known !== undefined)
      days[at] = { ...known, toLeaf: String(to), leaves: String(BigInt(known.leaves) + to - from) }
    else if (days.length < MAX_DAYS)
      days.push({ detachment, day, fromLeaf: String(from), toLeaf: String(to), leaves: String(to - from) })
    else if (last !== detachment) more++
    last = detachment
  }
  return { leaves, days, more, last }
}
