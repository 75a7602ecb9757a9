/** The leaves of a log out of the archives that hold it, file by file, with the roots that were said of it on the way. */
import type { ArchivedCheckpoint } from '../domain/archive/checkpointLine.ts'
import type { ManifestLog } from '../domain/archive/manifest.ts'
import type { ReadRecord } from '../domain/evidence/exportedRecord.ts'
import { hashFromHex, hashToHex, sha256 } from '../domain/hash.ts'
import { appendLeaves, emptyFrontier, rootOf } from '../domain/merkle.ts'
import { type Frontier, type Hash, leafIndex, type StoredNode } from '../domain/model.ts'
import { ServiceError } from '../errors.ts'
import type { ArchiveCodec, ArchivePlace } from '../ports.ts'
import type { ChainLink, FoundArchive, LogChain } from './chain.ts'
import { damaged, getLines } from './files.ts'
import { startOf } from './leafEnds.ts'
import { readLeaves } from './readArchive.ts'
import { checkpointsIn } from './rootChecker.ts'

export interface ChainPage {
  /** Where they lie. */
  readonly file: string
  readonly records: readonly ReadRecord[]
  /** Index of the first one. */
  readonly from: bigint
  readonly nodes: readonly StoredNode[]
  /** Behind the last one. */
  readonly size: bigint
  readonly frontier: Frontier
}

export interface ChainReader {
  readonly codec: ArchiveCodec
  readonly signal: AbortSignal
}

/** Where several places have an archive, the next one is read when the one before is away, or a file of it damaged. */
async function inAnyCopy<T>({ places }: FoundArchive, read: (place: ArchivePlace) => Promise<T>): Promise<T> {
  let first: unknown
  for (const place of places)
    try {
      return await read(place)
    } catch (error) {
      if (!(error instanceof ServiceError)) throw error
      if (error.code !== 'ARCHIVE_DAMAGED' && error.code !== 'PLACE_UNAVAILABLE') throw error
      first ??= error
      if (places.length > 1) place.remark(`${place.name}: ${error.message}: read in another place`)
    }
  throw first
}

/** Each page is a file, or what of it comes behind the link before. Throws ARCHIVE_DAMAGED, PLACE_UNAVAILABLE. */
export async function* chainPages(reader: ChainReader, chain: LogChain): AsyncGenerator<ChainPage> {
  let position = { size: leafIndex(0n), frontier: emptyFrontier }
  let behind = BigInt(chain.newest.startOffset)
  let ingestedMs = 0
  for (const [index, link] of chain.links.entries()) {
    const before = chain.links[index - 1]
    if (link.from === BigInt(link.log.fromLeaf))
      requireRoot(chain, link, before, position, hashFromHex(link.log.rootHashBefore))
    for (const file of link.log.files) {
      if (BigInt(file.toLeaf) <= position.size) continue
      reader.signal.throwIfAborted()
      const { manifest } = link.archive
      const all = await inAnyCopy(link.archive, (place) =>
        readLeaves({ ...reader, place }, manifest, 0, link.log, file),
      )
      const records = all.slice(Number(position.size - BigInt(file.fromLeaf)))
      const [first] = records
      if (first !== undefined && startOf(first.content) < behind)
        throw damaged(
          `${manifest.id}/${file.name}`,
          `begins leaf ${position.size} at offset ${startOf(first.content)}; those before it end at ${behind}`,
        )
      if ((first?.ingestedAt ?? ingestedMs) < ingestedMs)
        throw damaged(
          `${manifest.id}/${file.name}`,
          `has leaf ${position.size} ingested before the one before it`,
        )
      ingestedMs = records.at(-1)?.ingestedAt ?? ingestedMs
      const from = position.size
      const leaves = records.map(({ leaf }) => leaf)
      const { nodes, size, frontier } = appendLeaves(position, leaves)
      position = { size, frontier }
      yield { file: `${manifest.id}/${file.name}`, records, from, nodes, size, frontier }
    }
    behind = BigInt(link.log.toOffset)
    requireRoot(chain, link, before, position, hashFromHex(link.log.rootHash))
  }
}

/** That the leaves so far have the root that a link says. Whether it is wrong or the link before, the signature tells. */
function requireRoot(
  { origin }: LogChain,
  { archive: { manifest }, log }: ChainLink,
  before: ChainLink | undefined,
  { size, frontier }: { readonly size: bigint; readonly frontier: Frontier },
  wanted: Hash,
): void {
  const root = rootOf(frontier, size)
  if (root === wanted) return
  const signed = (part: ManifestLog): string => (part.note === null ? 'not signed' : 'signed')
  const other =
    before === undefined
      ? 'its leaves give'
      : `the archive ${before.archive.manifest.id} (${signed(before.log)}) leads to`
  throw damaged(
    `${manifest.id}/manifest.json`,
    `(${signed(log)}) says of ${origin} another root at ${size} leaves than ${other}: ${hashToHex(root)}`,
  )
}

/**
 * Checkpoints that lie beside the leaves of a chain, each once though every archive has those of earlier ones again. Of each that
 * was given, id and hash are held. Of those over more leaves than the chain nothing can be said. Throws ARCHIVE_DAMAGED, also when archives say two things of one.
 */
export async function* chainCheckpoints(
  reader: ChainReader,
  { parts, end }: Pick<LogChain, 'parts' | 'end'>,
): AsyncGenerator<ArchivedCheckpoint> {
  const seen = new Map<string, Hash>()
  // Full files are the same in all archives; parts come by their ends, so the first check of a file is the strictest.
  const filesSeen = new Set<string>()
  for (const { archive, log } of parts) {
    const { id } = archive.manifest
    for (const file of log.checkpoints) {
      if (filesSeen.has(file.sha256)) continue
      filesSeen.add(file.sha256)
      const lines = await inAnyCopy(archive, (place) =>
        getLines(place, reader.codec, id, file, reader.signal),
      )
      for (const { checkpoint, line } of checkpointsIn(lines, `${id}/${file.name}`, log)) {
        const hash = sha256(line)
        const before = seen.get(checkpoint.id)
        if (before !== undefined && before !== hash)
          throw damaged(
            `${id}/${file.name}`,
            `says something else of checkpoint ${checkpoint.id} than others`,
          )
        if (before !== undefined || BigInt(checkpoint.position.size) > end) continue
        seen.set(checkpoint.id, hash)
        yield checkpoint
      }
    }
  }
}
