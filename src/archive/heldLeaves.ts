/** Whether leaves that are gone from a database really lie in the archives that it names: what it says of them, anybody can write. */
import type { VerifierKey } from '../domain/evidence/noteKeys.ts'
import { hashFromHex, hashToHex } from '../domain/hash.ts'
import { type Hash, type LeafIndex, leafIndex } from '../domain/model.ts'
import { hasManifest, isFaulty } from './files.ts'
import { type ArchiveReader, reopenArchive } from './readArchive.ts'
import { verifyArchive } from './verifyWhole.ts'

/** An archive as a database names it. */
export interface NamedArchive {
  readonly id: string
  readonly place: string
  /** 64 hex digits. */
  readonly manifestHash: string
}

/** A part of a log that was read back, byte for byte. */
export interface HeldPart {
  readonly fromLeaf: bigint
  readonly toLeaf: bigint
}

export interface HeldLeaves {
  readonly parts: readonly HeldPart[]
  /** Why others do not count, for people. */
  readonly problems: readonly string[]
}

export interface HeldDependencies {
  readonly readers: readonly ArchiveReader[]
  readonly keys: readonly VerifierKey[]
  readonly say: (line: string) => void
}

/** The log's root at a size; null when the database can no longer compute it, since its leaves are away. */
export type RootAt = (size: LeafIndex) => Promise<Hash | null>

interface ReadPart extends HeldPart {
  readonly origin: string
  readonly rootHash: Hash
  readonly signed: boolean
}

type ReadBack =
  | { readonly ok: true; readonly parts: readonly ReadPart[] }
  | { readonly ok: false; readonly problem: string }

/** Reads each archive once, whatever logs ask for it. Throws PLACE_UNAVAILABLE. */
export function createHeldLeaves(deps: HeldDependencies) {
  const known = new Map<string, ReadBack>()
  const readOnce = async (archive: NamedArchive): Promise<ReadBack> => {
    const before = known.get(`${archive.id} ${archive.manifestHash}`)
    if (before !== undefined) return before
    const found = await readBack(deps, archive)
    known.set(`${archive.id} ${archive.manifestHash}`, found)
    return found
  }
  return async (origin: string, archives: readonly NamedArchive[], rootAt: RootAt): Promise<HeldLeaves> => {
    const parts: HeldPart[] = []
    const problems: string[] = []
    for (const archive of archives) {
      const read = await readOnce(archive)
      if (!read.ok) problems.push(read.problem)
      else
        for (const part of read.parts.filter((each) => each.origin === origin)) {
          const problem = await foreign(part, rootAt)
          if (problem === null) parts.push(part)
          else problems.push(`the archive ${archive.id} ${problem}`)
        }
    }
    return { parts, problems }
  }
}

/** Its leaves must be those of the log whose root the notes bear out. */
async function foreign({ toLeaf, rootHash, signed }: ReadPart, rootAt: RootAt): Promise<string | null> {
  const root = await rootAt(leafIndex(toLeaf))
  if (root === null)
    return signed ? null : `is under no signed note, and the database has no root at ${toLeaf} leaves`
  return root === rootHash
    ? null
    : `has at ${toLeaf} leaves the root ${hashToHex(rootHash)}, and the database ${hashToHex(root)}`
}

/** From the first place that has it whole. The manifest is the one that the database names, whatever was put over it. */
async function readBack(deps: HeldDependencies, archive: NamedArchive): Promise<ReadBack> {
  const { id, place, manifestHash } = archive
  const problems: string[] = []
  for (const reader of deps.readers) {
    if (!(await hasManifest(reader.place, id, reader.signal))) continue
    try {
      return { ok: true, parts: await partsOf(reader, archive, deps) }
    } catch (error) {
      if (!isFaulty(error)) throw error
      problems.push(`${reader.place.name}: ${error.message}`)
    }
  }
  const none = `is in none of the places; the database says ${place}`
  const bad = `is not good (the database names the manifest ${manifestHash}): ${problems.join('; ')}`
  return { ok: false, problem: `the archive ${id} ${problems.length === 0 ? none : bad}` }
}

async function partsOf(
  reader: ArchiveReader,
  { id, manifestHash }: NamedArchive,
  { keys, say }: HeldDependencies,
): Promise<readonly ReadPart[]> {
  const opened = await reopenArchive(reader, id, hashFromHex(manifestHash))
  const { logs } = await verifyArchive(reader, opened, keys, say)
  return logs.map(({ origin, fromLeaf, toLeaf, rootHash, signed }) => ({
    ...{ origin, signed },
    fromLeaf: BigInt(fromLeaf),
    toLeaf: BigInt(toLeaf),
    rootHash: hashFromHex(rootHash),
  }))
}
