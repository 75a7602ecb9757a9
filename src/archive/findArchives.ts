/** The archives that a recovery goes by. */
import { isArchiveId, type Manifest } from '../domain/archive/manifest.ts'
import type { VerifierKey } from '../domain/evidence/noteKeys.ts'
import { hashFromHex, hashToHex } from '../domain/hash.ts'
import { NotGiven, ServiceError } from '../errors.ts'
import type { ArchivePlace } from '../ports.ts'
import type { FoundArchive } from './chain.ts'
import { damaged, isFaulty } from './files.ts'
import { findArchive } from './findArchive.ts'
import { type ArchiveReader, CLOCK_MS, checkPart, nameOfManifest, type OpenedArchive } from './readArchive.ts'

export interface Search extends Omit<ArchiveReader, 'place'> {
  readonly places: readonly ArchivePlace[]
  /** Ids of archives that are left alone: damaged ones, or of another history. */
  readonly except: readonly string[]
  /** Only archives of this installation; null: there must be but one. */
  readonly instance: string | null
  /** Whose word is taken. */
  readonly keys: readonly VerifierKey[]
  readonly say: (line: string) => void
  /** Ms since the epoch. */
  readonly now: () => number
}

export interface FoundArchives {
  /** At least one. */
  readonly archives: readonly FoundArchive[]
  /** SHA-256 of the manifest by the archive's id, hex. */
  readonly hashes: ReadonlyMap<string, string>
  /** Folders without a manifest: never finished. */
  readonly unfinished: readonly string[]
  /** Of other installations. */
  readonly foreign: readonly string[]
  /** Those that were to be left alone, by id; null where nobody can read what was in one. */
  readonly excepted: ReadonlyMap<string, Pick<Manifest, 'logs'> | null>
  /** Whose they are; null when no log is in them. */
  readonly instance: string | null
}

/**
 * Manifests with their signatures, and no leaf. Throws ARCHIVE_NOT_FOUND, what `findArchive` throws when no copy of an archive is
 * good, ARCHIVE_AMBIGUOUS for copies that differ, and BAD_REQUEST for archives of several installations.
 */
export async function findArchives(search: Search): Promise<FoundArchives> {
  const { places, except, instance } = search
  const all = await openAll(search)
  const missed = except.filter((id) => !all.has(id))
  if (missed.length > 0)
    throw new ServiceError('ARCHIVE_NOT_FOUND', `There is no archive ${missed.join(', ')} to leave out`)
  const isForeign = ({ opened }: Copies): boolean =>
    instance !== null && opened.length > 0 && opened.every(({ manifest }) => !isOf(manifest, instance))
  const wanted = [...all].filter(([id, copies]) => !except.includes(id) && !isForeign(copies))
  const only = onlyInstance(wanted.flatMap(([, { opened }]) => opened))
  const archives: FoundArchive[] = []
  const hashes = new Map<string, string>()
  const unfinished: string[] = []
  for (const [id, copies] of wanted) {
    const good = checkCopies(search, id, copies)
    if (good === null) unfinished.push(id)
    else {
      archives.push({ places: good.places, manifest: good.manifest })
      hashes.set(id, good.hash)
    }
  }
  if (archives.length === 0)
    throw new ServiceError(
      'ARCHIVE_NOT_FOUND',
      `There is no finished archive${instance === null ? '' : ` of ${instance}`} in ${places.map(({ name }) => name).join(', ')}`,
    )
  const foreign = [...all].filter(([id, copies]) => !except.includes(id) && isForeign(copies))
  return {
    ...{ archives, hashes, unfinished, foreign: foreign.map(([id]) => id), instance: only },
    excepted: new Map(except.map((id) => [id, logsIn(search, id, all.get(id))])),
  }
}

type Opened = OpenedArchive & { readonly place: ArchivePlace }

/** What lies under one id, in all places. */
interface Copies {
  readonly opened: readonly Opened[]
  /** What is wrong with the first of the others. */
  readonly problem: ServiceError | null
}

async function openAll(search: Search): Promise<ReadonlyMap<string, Copies>> {
  const all = new Map<string, Copies>()
  for (const place of search.places)
    for (const id of (await place.folders(search.signal)).filter(isArchiveId)) {
      const { opened, problem } = all.get(id) ?? { opened: [], problem: null }
      try {
        const found = await findArchive({ ...search, place }, id, search.keys, search.say)
        all.set(id, { opened: found === null ? opened : [...opened, { ...found, place }], problem })
      } catch (error) {
        if (!isOfOneArchive(error)) throw error
        all.set(id, { opened, problem: problem ?? error })
      }
    }
  return all
}

interface GoodCopies {
  readonly manifest: Manifest
  readonly hash: string
  readonly places: readonly ArchivePlace[]
}

/**
 * What a manifest says of its own roots and notes must hold; what its leaves say is not looked at yet. A bad copy does not matter
 * beside a good one; two good ones that differ do. Null for an archive that was never finished.
 */
function checkCopies(search: Search, id: string, copies: Copies): GoodCopies | null {
  let { problem } = copies
  const good: Opened[] = []
  for (const copy of copies.opened)
    try {
      checkManifest(copy.manifest, search)
      good.push(copy)
    } catch (error) {
      if (!isOfOneArchive(error)) throw error
      problem ??= error
    }
  const [first] = good
  if (first === undefined && problem !== null) throw withRemedy(problem, id)
  if (first === undefined) return null
  if (problem !== null) first.place.remark(`another copy is not good, and was not read: ${problem.message}`)
  const hash = hashToHex(first.manifestHash)
  for (const { place, manifestHash } of good)
    if (manifestHash !== first.manifestHash)
      throw new ServiceError(
        'ARCHIVE_AMBIGUOUS',
        `${nameOfManifest(id)} is another one in ${place.name} than in ${first.place.name} (SHA-256 ${hashToHex(manifestHash)} and ${hash}): give --from only where the right one is`,
      )
  return { manifest: first.manifest, hash, places: good.map(({ place }) => place) }
}

/** Throws ARCHIVE_DAMAGED, NOTE_REFUSED. */
function checkManifest(manifest: Manifest, { keys, now }: Search): void {
  if (manifest.createdAt > now() + CLOCK_MS)
    throw damaged(nameOfManifest(manifest.id), 'says that it was made in the future')
  checkKeys(manifest, keys)
  for (const log of manifest.logs) checkPart(manifest.id, log, hashFromHex(log.rootHash), keys)
}

/** What was in an archive that is left out; null when nobody can tell. */
function logsIn(search: Search, id: string, copies: Copies | undefined): Pick<Manifest, 'logs'> | null {
  if (copies === undefined) return { logs: [] }
  try {
    // Of one that was never finished nothing can lack.
    return checkCopies(search, id, copies)?.manifest ?? { logs: [] }
  } catch (error) {
    if (isOfOneArchive(error)) return null
    throw error
  }
}

/** The archive's own list of keys is nobody's signature: it may name only keys that are known from elsewhere. */
function checkKeys({ id, keys }: Manifest, trusted: readonly VerifierKey[]): void {
  for (const { key } of keys) {
    if (trusted.some(({ text }) => text === key)) continue
    const name = key.split('+').slice(0, 2).join('+')
    throw new ServiceError(
      'NOTE_REFUSED',
      `${nameOfManifest(id)} names the key ${name}, which is not among those given with --key`,
    )
  }
}

const instancesOf = ({ logs }: Manifest): readonly string[] => logs.map(({ instance }) => instance)

const isOf = (manifest: Manifest, instance: string | null): boolean =>
  instance === null || instancesOf(manifest).every((name) => name === instance)

/** Of two installations the logs of one topic have two histories, and one database holds one. */
function onlyInstance(opened: readonly OpenedArchive[]): string | null {
  const names = [...new Set(opened.flatMap(({ manifest }) => instancesOf(manifest)))]
  if (names.length > 1)
    throw new ServiceError(
      'BAD_REQUEST',
      `The archives are of several installations: ${names.sort().join(', ')}; choose one with --instance`,
    )
  return names[0] ?? null
}

/** And not of its place. */
const isOfOneArchive = (error: unknown): error is ServiceError =>
  error instanceof NotGiven ||
  isFaulty(error) ||
  (error instanceof ServiceError && error.code === 'ARCHIVE_AMBIGUOUS')

/** Of what is only damaged; where somebody signed what he should not, nobody should go on without a thought. */
const withRemedy = (error: ServiceError, id: string): ServiceError =>
  error.code === 'ARCHIVE_DAMAGED'
    ? new ServiceError('ARCHIVE_DAMAGED', `${error.message}; to go on without this archive: --except ${id}`, {
        cause: error,
      })
    : error
