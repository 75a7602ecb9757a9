/** The leaves of a log out of the archives that hold it, file by file, with the roots that were said of it on the way. */
import type { ArchivedCheckpoint } from '../domain/archive/checkpointLine.ts'
import type { ReadRecord } from '../domain/evidence/exportedRecord.ts'
import { hashFromHex, hashToHex } from '../domain/hash.ts'
import { appendLeaves, emptyFrontier, rootOf } from '../domain/merkle.ts'
import { type Frontier, leafIndex, type StoredNode } from '../domain/model.ts'
import type { ArchiveCodec } from '../ports.ts'
import type { LogChain } from './chain.ts'
import { damaged } from './files.ts'
import { startOf } from './leafEnds.ts'
import { readLeaves } from './readArchive.ts'
import { partCheckpoints } from './rootChecker.ts'

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

/** Checkpoints that lie beside the leaves of a chain, each once. Throws ARCHIVE_DAMAGED. */
export async function chainCheckpoints(
  reader: ChainReader,
  { links }: LogChain,
): Promise<readonly ArchivedCheckpoint[]> {
  const all = new Map<string, ArchivedCheckpoint>()
  for (const { archive, log } of links)
    for (const checkpoint of await partCheckpoints(
      { ...reader, place: archive.place },
      archive.manifest.id,
      log,
    ))
      all.set(checkpoint.id, checkpoint)
  return [...all.values()]
}
