/** The leaves of a log out of the archives that hold it, file by file, with the roots that were said of it on the way. */
import type { ArchivedCheckpoint } from '../domain/archive/checkpointLine.ts'
import type { ReadRecord } from '../domain/evidence/exportedRecord.ts'
import { hashFromHex, hashToHex, sha256 } from '../domain/hash.ts'
import { appendLeaves, emptyFrontier, rootOf } from '../domain/merkle.ts'
import { type Frontier, type Hash, leafIndex, type StoredNode } from '../domain/model.ts'
import type { ArchiveCodec } from '../ports.ts'
import type { LogChain } from './chain.ts'
import { damaged } from './files.ts'
import { startOf } from './leafEnds.ts'
import { readLeaves } from './readArchive.ts'
import { fileCheckpoints } from './rootChecker.ts'

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

/** Each page is a file, or what of it comes behind the link before. Throws ARCHIVE_DAMAGED. */
export async function* chainPages(reader: ChainReader, chain: LogChain): AsyncGenerator<ChainPage> {
  let position = { size: leafIndex(0n), frontier: emptyFrontier }
  let behind = BigInt(chain.newest.startOffset)
  let ingestedMs = 0
  for (const link of chain.links) {
    for (const file of link.log.files) {
      if (BigInt(file.toLeaf) <= position.size) continue
      reader.signal.throwIfAborted()
      const { place, manifest } = link.archive
      const all = await readLeaves({ ...reader, place }, manifest, 0, link.log, file)
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
    const root = rootOf(position.frontier, position.size)
    if (root !== hashFromHex(link.log.rootHash))
      throw damaged(
        `${link.archive.manifest.id}/manifest.json`,
        `says of ${chain.origin} another root at ${link.log.toLeaf} leaves than the archives give: ${hashToHex(root)}`,
      )
  }
}

/**
 * Checkpoints that lie beside the leaves of a chain, each once though every archive has those of earlier ones again. Of each that
 * was given, id and hash are held. Throws ARCHIVE_DAMAGED, also when archives say two things of one.
 */
export async function* chainCheckpoints(
  reader: ChainReader,
  { links }: Pick<LogChain, 'links'>,
): AsyncGenerator<ArchivedCheckpoint> {
  const seen = new Map<string, Hash>()
  // Full files are the same in all archives.
  const filesSeen = new Set<string>()
  for (const { archive, log } of links) {
    const { id } = archive.manifest
    for (const file of log.checkpoints) {
      if (filesSeen.has(file.sha256)) continue
      filesSeen.add(file.sha256)
      const from = { ...reader, place: archive.place }
      for await (const { checkpoint, line } of fileCheckpoints(from, id, log, file)) {
        const hash = sha256(line)
        const before = seen.get(checkpoint.id)
        if (before !== undefined && before !== hash)
          throw damaged(
            `${id}/${file.name}`,
            `says something else of checkpoint ${checkpoint.id} than others`,
          )
        if (before !== undefined) continue
        seen.set(checkpoint.id, hash)
        yield checkpoint
      }
    }
  }
}
