/** Whether leaves that are gone from a database really lie in the archives that it names: what it says of them, anybody can write. */
import type { VerifierKey } from '../domain/evidence/noteKeys.ts'
import { hashFromHex, hashToHex } from '../domain/hash.ts'
import { type Hash, type LeafIndex, leafIndex } from '../domain/model.ts'
import { ServiceError } from '../errors.ts'
import { type ArchiveReader, openArchive } from './readArchive.ts'
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

/** What the reading of a damaged archive ends with. */
const damage = new Set(['ARCHIVE_DAMAGED', 'ROOT_MISMATCH', 'NOTE_REFUSED'])

async function readBack(
  { readers, keys, say }: HeldDependencies,
  { id, place, manifestHash }: NamedArchive,
): Promise<ReadBack> {
  try {
    let others: string | null = null
    for (const reader of readers) {
      const opened = await openArchive(reader, id)
      if (opened === null) continue
      if (hashToHex(opened.manifestHash) !== manifestHash) {
        others = `the archive ${id} in ${reader.place.name} has the manifest ${hashToHex(opened.manifestHash)}, and the database names ${manifestHash}`
        continue
      }
      const { logs } = await verifyArchive(reader, opened, keys, say)
      return {
        ok: true,
        parts: logs.map(({ origin, fromLeaf, toLeaf, rootHash, signed }) => ({
          ...{ origin, signed },
          fromLeaf: BigInt(fromLeaf),
          toLeaf: BigInt(toLeaf),
          rootHash: hashFromHex(rootHash),
        })),
      }
    }
    return {
      ok: false,
      problem: others ?? `the archive ${id} is in none of the places; the database says ${place}`,
    }
  } catch (error) {
    if (error instanceof ServiceError && damage.has(error.code)) return { ok: false, problem: error.message }
    throw error
  }
}
