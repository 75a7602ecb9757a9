/** The leaves of a log out of the archives that hold it, file by file, with the roots that were said of it on the way. */
import { type ArchivedCheckpoint, parseCheckpointLine } from '../domain/archive/checkpointLine.ts'
import type { ReadRecord } from '../domain/evidence/exportedRecord.ts'
import { hashFromHex, hashToHex } from '../domain/hash.ts'
import { appendLeaves, emptyFrontier, rootOf } from '../domain/merkle.ts'
import { type Frontier, type Hash, leafIndex, type StoredNode } from '../domain/model.ts'
import { ServiceError } from '../errors.ts'
import type { ArchiveCodec } from '../ports.ts'
import type { LogChain } from './chain.ts'
import { damaged, getLines } from './files.ts'
import { readLeaves, startOf } from './readArchive.ts'

export interface ChainPage {
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
  for (const link of chain.links) {
    for (const file of link.log.files) {
      if (BigInt(file.toLeaf) <= position.size) continue
      reader.signal.throwIfAborted()
      const { place, manifest } = link.archive
      const all = await readLeaves({ ...reader, place }, manifest.id, link.log, file)
      const records = all.slice(Number(position.size - BigInt(file.fromLeaf)))
      const [first] = records
      if (first !== undefined && startOf(first.content) < behind)
        throw damaged(
          `${manifest.id}/${file.name}`,
          `begins leaf ${position.size} at offset ${startOf(first.content)}; those before it end at ${behind}`,
        )
      const from = position.size
      const leaves = records.map(({ leaf }) => leaf)
      const { nodes, size, frontier } = appendLeaves(position, leaves)
      position = { size, frontier }
      yield { records, from, nodes, size, frontier }
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

/** "At this size the log has this root", from whom. */
export interface ClaimedRoot {
  readonly size: bigint
  readonly root: Hash
  readonly name: string
}

/** Holds claims, by size, against the leaves as they come. Throws ROOT_MISMATCH. */
export class RootChecker {
  readonly #origin: string
  readonly #claims: readonly ClaimedRoot[]
  #next = 0
  #before: { readonly size: bigint; readonly frontier: Frontier } = { size: 0n, frontier: emptyFrontier }

  constructor(origin: string, claims: readonly ClaimedRoot[]) {
    this.#origin = origin
    this.#claims = [...claims].sort((a, b) => (a.size < b.size ? -1 : a.size > b.size ? 1 : 0))
    this.#check(0n, emptyFrontier)
  }

  /** Claims that were arrived at; the others are larger than the log. */
  get matched(): readonly ClaimedRoot[] {
    return this.#claims.slice(0, this.#next)
  }

  take({ records, size, frontier }: ChainPage): void {
    let position = { size: leafIndex(this.#before.size), frontier: this.#before.frontier }
    let at = 0
    for (let claim = this.#claims[this.#next]; claim !== undefined && claim.size <= size; ) {
      const end = at + Number(claim.size - position.size)
      position = appendLeaves(
        position,
        records.slice(at, end).map(({ leaf }) => leaf),
      )
      at = end
      this.#check(claim.size, position.frontier)
      claim = this.#claims[this.#next]
    }
    this.#before = { size, frontier }
  }

  #check(size: bigint, frontier: Frontier): void {
    const root = rootOf(frontier, size)
    for (let claim = this.#claims[this.#next]; claim?.size === size; claim = this.#claims[this.#next]) {
      if (claim.root !== root)
        throw new ServiceError(
          'ROOT_MISMATCH',
          `${claim.name} says of ${this.#origin} another root at ${size} leaves than the archives give: ${hashToHex(root)}`,
        )
      this.#next++
    }
  }
}

/** Checkpoints that lie beside the leaves of a chain, each once. Throws ARCHIVE_DAMAGED. */
export async function chainCheckpoints(
  reader: ChainReader,
  { links }: LogChain,
): Promise<readonly ArchivedCheckpoint[]> {
  const all = new Map<string, ArchivedCheckpoint>()
  for (const { archive, log } of links)
    for (const file of log.checkpoints) {
      const { place, manifest } = archive
      for (const line of await getLines(place, reader.codec, manifest.id, file, reader.signal)) {
        const checkpoint = parseCheckpointLine(line)
        if (!checkpoint.ok)
          throw damaged(`${manifest.id}/${file.name}`, `has a bad line: ${checkpoint.detail}`)
        if (BigInt(checkpoint.value.position.size) > BigInt(log.toLeaf))
          throw damaged(`${manifest.id}/${file.name}`, `has a checkpoint over more leaves than the archive`)
        all.set(checkpoint.value.id, checkpoint.value)
      }
    }
  return [...all.values()]
}
