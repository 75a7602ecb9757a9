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

export interface LogChain {
  readonly origin: string
  /** Of the newest archive of the log. */
  readonly newest: ManifestLog
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

/** By topic, partition and incarnation. Throws ARCHIVE_DAMAGED when archives disagree about a log. */
export function chainsOf(archives: readonly FoundArchive[]): readonly LogChain[] {
  const byOrigin = new Map<string, Part[]>()
  for (const archive of archives)
    for (const log of archive.manifest.logs) {
      const parts = byOrigin.get(log.origin) ?? []
      byOrigin.set(log.origin, parts)
      parts.push({ archive, log })
    }
  return [...byOrigin].map(([origin, parts]) => chainOf(origin, parts)).sort(inOrder)
}

const inOrder = ({ newest: a }: LogChain, { newest: b }: LogChain): number =>
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
