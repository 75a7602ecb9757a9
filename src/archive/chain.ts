/** Which archives together hold a log from its first leaf on. */
import type { Manifest, ManifestLog } from '../domain/archive/manifest.ts'
import { ServiceError } from '../errors.ts'
import type { ArchivePlace } from '../ports.ts'

export interface FoundArchive {
  /** Where it lies, copies included; at least one. */
  readonly places: readonly ArchivePlace[]
  /** What it says of its own roots and notes holds; its leaves have not been looked at. */
  readonly manifest: Manifest
}

export interface ChainLink {
  readonly archive: FoundArchive
  readonly log: ManifestLog
  /** Leaves below are another link's. */
  readonly from: bigint
}

/** What is known of a log as such. */
export type ChainLog = Pick<
  ManifestLog,
  'instance' | 'topic' | 'partition' | 'topicId' | 'incarnation' | 'startOffset' | 'leaderEpoch' | 'createdAt'
>

/** What an archive holds of a log. */
export interface Part {
  readonly archive: FoundArchive
  readonly log: ManifestLog
}

export interface LogChain {
  readonly origin: string
  /** As the newest archive of the log says. */
  readonly newest: ChainLog
  /** None: only notes know of the log. */
  readonly links: readonly ChainLink[]
  /** Leaf and offset behind the last link. */
  readonly end: bigint
  readonly endOffset: bigint
  /** All that archives hold of it, by end; also what the chain does not need, or cannot reach. */
  readonly parts: readonly Part[]
}

/** Parts that cannot be reached, because something before them is missing; by leaf. */
export const unreachableOf = ({ parts, end }: LogChain): readonly ManifestLog[] =>
  parts
    .map(({ log }) => log)
    .filter(({ fromLeaf }) => BigInt(fromLeaf) > end)
    .sort((a, b) => (BigInt(a.fromLeaf) < BigInt(b.fromLeaf) ? -1 : 1))

/** By topic, partition and incarnation. Throws BAD_REQUEST when archives are of two histories. */
export function chainsOf(archives: readonly FoundArchive[]): readonly LogChain[] {
  const byOrigin = new Map<string, Part[]>()
  for (const archive of archives)
    for (const log of archive.manifest.logs) {
      const parts = byOrigin.get(log.origin) ?? []
      byOrigin.set(log.origin, parts)
      parts.push({ archive, log })
    }
  const chains = [...byOrigin].map(([origin, parts]) => chainOf(origin, parts)).sort(inOrder)
  for (const [index, chain] of chains.entries()) {
    const before = chains[index - 1]
    if (before !== undefined && inOrder(before, chain) === 0) throw twoOf(before, chain)
  }
  return chains
}

/** A restore that knew nothing of the log before makes another one under the same number. */
function twoOf(a: LogChain, b: LogChain): ServiceError {
  const idsOf = ({ parts }: LogChain): string =>
    [...new Set(parts.map(({ archive }) => archive.manifest.id))].join(', ')
  const { topic, partition, incarnation } = b.newest
  return new ServiceError(
    'BAD_REQUEST',
    `the archives hold two logs of ${topic}/${partition}, incarnation ${incarnation}: ${a.origin} in ${idsOf(a)}, and ${b.origin} in ${idsOf(b)}; leave those of one out with --except`,
  )
}

export const inOrder = ({ newest: a }: LogChain, { newest: b }: LogChain): number =>
  a.topic === b.topic
    ? a.partition - b.partition || a.incarnation - b.incarnation
    : a.topic < b.topic
      ? -1
      : 1

function chainOf(origin: string, found: readonly Part[]): LogChain {
  const parts = [...found].sort(byEnd)
  const newest = parts.at(-1)?.log
  if (newest === undefined) throw new RangeError('a log without archives')
  // A recovery that opens a log anew does not know when it was opened first.
  const createdAt = parts.reduce((least, { log }) => Math.min(least, log.createdAt), newest.createdAt)
  const links: ChainLink[] = []
  let end = 0n
  let endOffset = BigInt(newest.startOffset)
  for (;;) {
    const next = furthest(parts, end)
    if (next === null) break
    links.push({ ...next, from: end })
    end = BigInt(next.log.toLeaf)
    endOffset = BigInt(next.log.toOffset)
  }
  return { origin, newest: { ...newest, createdAt }, links, end, endOffset, parts }
}

const byEnd = (a: Part, b: Part): number => {
  const [one, other] = [BigInt(a.log.toLeaf), BigInt(b.log.toLeaf)]
  if (one !== other) return one < other ? -1 : 1
  return a.archive.manifest.createdAt - b.archive.manifest.createdAt
}

/** The part that holds `leaf` and reaches furthest; an unsigned one, which anybody can make, only where no signed one does. */
function furthest(parts: readonly Part[], leaf: bigint): Part | null {
  const holding = parts.filter(({ log }) => BigInt(log.fromLeaf) <= leaf && BigInt(log.toLeaf) > leaf)
  return holding.findLast(({ log }) => log.note !== null) ?? holding.at(-1) ?? null
}
