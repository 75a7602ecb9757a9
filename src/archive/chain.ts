/** Which archives together hold a log from its first leaf on. */
import type { Manifest, ManifestLog } from '../domain/archive/manifest.ts'
import { ServiceError } from '../errors.ts'
import type { ArchivePlace } from '../ports.ts'

export interface FoundArchive {
  readonly place: ArchivePlace
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

export interface LogChain {
  readonly origin: string
  /** As the newest archive of the log says. */
  readonly newest: ChainLog
  /** None: only notes know of the log. */
  readonly links: readonly ChainLink[]
  /** Leaf and offset behind the last link. */
  readonly end: bigint
  readonly endOffset: bigint
  /** Parts that cannot be reached, because something before them is missing; by leaf. */
  readonly unreachable: readonly ManifestLog[]
}

interface Part {
  readonly archive: FoundArchive
  readonly log: ManifestLog
}

/**
 * By topic, partition and incarnation. Throws ARCHIVE_DAMAGED when archives disagree about a log, BAD_REQUEST when they are of two
 * histories.
 */
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
  const idsOf = ({ links, unreachable }: LogChain): string =>
    [...new Set(links.map(({ archive }) => archive.manifest.id))].join(', ') ||
    `${unreachable.length} archives that do not begin at its first leaf`
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

function chainOf(origin: string, parts: readonly Part[]): LogChain {
  const [first] = parts
  if (first === undefined) throw new RangeError('a log without archives')
  let newest = first.log
  for (const { archive, log } of parts) {
    if (log.startOffset !== newest.startOffset || log.createdAt !== newest.createdAt)
      throw new ServiceError(
        'ARCHIVE_DAMAGED',
        `${archive.manifest.id} says of ${origin} another beginning than others`,
      )
    if (BigInt(log.toLeaf) > BigInt(newest.toLeaf)) newest = log
  }
  const links: ChainLink[] = []
  let end = 0n
  let endOffset = BigInt(first.log.startOffset)
  for (;;) {
    const next = furthest(parts, end)
    if (next === null) break
    links.push({ ...next, from: end })
    end = BigInt(next.log.toLeaf)
    endOffset = BigInt(next.log.toOffset)
  }
  const unreachable = parts.map(({ log }) => log).filter(({ fromLeaf }) => BigInt(fromLeaf) > end)
  return {
    ...{ origin, newest, links, end, endOffset },
    unreachable: unreachable.sort((a, b) => (BigInt(a.fromLeaf) < BigInt(b.fromLeaf) ? -1 : 1)),
  }
}

/** The part that holds `leaf` and reaches furthest. */
function furthest(parts: readonly Part[], leaf: bigint): Part | null {
  let best: Part | null = null
  for (const part of parts) {
    if (BigInt(part.log.fromLeaf) > leaf || BigInt(part.log.toLeaf) <= leaf) continue
    if (best === null || BigInt(part.log.toLeaf) > BigInt(best.log.toLeaf)) best = part
  }
  return best
}
