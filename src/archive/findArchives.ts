/** The archives that a recovery goes by. */
import type { Manifest } from '../domain/archive/manifest.ts'
import type { VerifierKey } from '../domain/evidence/noteKeys.ts'
import { hashToHex } from '../domain/hash.ts'
import { ServiceError } from '../errors.ts'
import type { ArchivePlace } from '../ports.ts'
import type { FoundArchive } from './chain.ts'
import { findArchive } from './findArchive.ts'
import type { ArchiveReader } from './readArchive.ts'

export interface Search extends Omit<ArchiveReader, 'place'> {
  readonly places: readonly ArchivePlace[]
  /** Ids of archives that are left alone: damaged ones, or of another history. */
  readonly except: readonly string[]
  /** Only archives of this installation; null: there must be but one. */
  readonly instance: string | null
  /** Whose word is taken. */
  readonly keys: readonly VerifierKey[]
  readonly say: (line: string) => void
}

export interface FoundArchives {
  /** At least one; of two copies the first. */
  readonly archives: readonly FoundArchive[]
  /** SHA-256 of the manifest by the archive's id, hex. */
  readonly hashes: ReadonlyMap<string, string>
  /** Folders without a manifest: never finished. */
  readonly unfinished: readonly string[]
  /** Of other installations, and those that were to be left alone. */
  readonly leftOut: readonly string[]
  /** Whose they are; null when no log is in them. */
  readonly instance: string | null
  readonly newest: Manifest
}

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** Throws ARCHIVE_NOT_FOUND, what `findArchive` throws, and BAD_REQUEST for archives of several installations. */
export async function findArchives(search: Search): Promise<FoundArchives> {
  const { places, except, instance, keys, say, signal } = search
  const found = new Map<string, FoundArchive>()
  const hashes = new Map<string, string>()
  const unfinished = new Set<string>()
  const leftOut = new Set<string>()
  for (const place of places)
    for (const id of (await place.folders(signal)).filter((name) => UUID.test(name))) {
      if (except.includes(id)) {
        leftOut.add(id)
        continue
      }
      const opened = await findArchive({ ...search, place }, id, keys, say).catch((error: unknown) => {
        throw withRemedy(error, id)
      })
      if (opened === null) unfinished.add(id)
      else if (!isOf(opened.manifest, instance)) leftOut.add(id)
      else if (!found.has(id)) {
        found.set(id, { place, manifest: opened.manifest })
        hashes.set(id, hashToHex(opened.manifestHash))
      }
    }
  for (const id of found.keys()) unfinished.delete(id)
  const archives = [...found.values()]
  const [first] = archives
  if (first === undefined)
    throw new ServiceError(
      'ARCHIVE_NOT_FOUND',
      `There is no finished archive${instance === null ? '' : ` of ${instance}`} in ${places.map(({ name }) => name).join(', ')}`,
    )
  const newest = archives.reduce((a, b) => (b.manifest.createdAt > a.manifest.createdAt ? b : a), first)
  const missed = except.filter((id) => !leftOut.has(id))
  if (missed.length > 0)
    throw new ServiceError('ARCHIVE_NOT_FOUND', `There is no archive ${missed.join(', ')} to leave out`)
  return {
    ...{ archives, hashes, unfinished: [...unfinished], leftOut: [...leftOut] },
    ...{ instance: onlyInstance(archives), newest: newest.manifest },
  }
}

const instancesOf = ({ logs }: Manifest): readonly string[] => logs.map(({ instance }) => instance)

const isOf = (manifest: Manifest, instance: string | null): boolean =>
  instance === null || instancesOf(manifest).every((name) => name === instance)

/** Of two installations the logs of one topic have two histories, and one database holds one. */
function onlyInstance(archives: readonly FoundArchive[]): string | null {
  const names = [...new Set(archives.flatMap(({ manifest }) => instancesOf(manifest)))]
  if (names.length > 1)
    throw new ServiceError(
      'BAD_REQUEST',
      `The archives are of several installations: ${names.sort().join(', ')}; choose one with --instance`,
    )
  return names[0] ?? null
}

const remediable: ReadonlySet<string> = new Set([
  'ARCHIVE_DAMAGED',
  'ARCHIVE_AMBIGUOUS',
  'NOTE_REFUSED',
  'ROOT_MISMATCH',
])

function withRemedy(error: unknown, id: string): unknown {
  if (!(error instanceof ServiceError) || !remediable.has(error.code)) return error
  return new ServiceError(error.code, `${error.message}; to go on without this archive: --except ${id}`, {
    cause: error,
  })
}
