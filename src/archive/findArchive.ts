/** Which manifest is an archive's, where a place holds several: by evidence, not by which one is the newest. */
import { MAX_MANIFEST_BYTES, type Manifest } from '../domain/archive/manifest.ts'
import { canonicalize } from '../domain/canonicalJson.ts'
import type { VerifierKey } from '../domain/evidence/noteKeys.ts'
import { hashFromHex, hashToHex, sha256 } from '../domain/hash.ts'
import type { Hash } from '../domain/model.ts'
import { NotGiven, ServiceError } from '../errors.ts'
import type { PlacedVersion } from '../ports.ts'
import { damaged, isFaulty, orUnread } from './files.ts'
import {
  type ArchiveReader,
  checkPart,
  nameOfManifest,
  type OpenedArchive,
  openArchive,
  readManifest,
} from './readArchive.ts'
import { verifyArchive } from './verifyWhole.ts'

/** Different ones of one archive that all look good: an attempt to seal it that was made again leaves two. */
const MAX_MANIFESTS = 100

/** A version that can be read as the archive's manifest; of the same bytes the newest. */
interface Candidate {
  readonly version: PlacedVersion
  readonly hash: Hash
  /** Of what it says but for its notes, which say themselves whether they are good. */
  readonly core: Hash
  /** Logs of it that have a note. */
  readonly signed: number
}

/**
 * The archive with that id; null when it was never finished. One manifest, as is the rule, is read and nothing else: whoever
 * reads on verifies it. Of several, those count that files, roots, notes and keys bear out; when that is not the newest one, it
 * is remarked. Throws ARCHIVE_AMBIGUOUS when two are good and say different things, ARCHIVE_DAMAGED, NOTE_REFUSED,
 * ROOT_MISMATCH when none is, and PLACE_UNAVAILABLE.
 */
export async function findArchive(
  reader: ArchiveReader,
  id: string,
  keys: readonly VerifierKey[],
  say: (line: string) => void,
): Promise<OpenedArchive | null> {
  const { place, signal } = reader
  const versions = await place.versions(nameOfManifest(id), signal)
  const [only] = versions
  if (only === undefined || (versions.length === 1 && only.isNewest)) return await openArchive(reader, id)
  const { candidates, problem } = await readCandidates(reader, id, versions, keys)
  const chosen = candidates.length === 1 ? candidates[0] : await choose(reader, id, candidates, keys, say)
  if (chosen === undefined)
    throw problem ?? damaged(nameOfManifest(id), `has ${versions.length} versions, and none is good`)
  if (!chosen.version.isNewest) place.remark(remarkOn(id, versions, chosen))
  return await reopen(reader, id, chosen)
}

function remarkOn(id: string, versions: readonly PlacedVersion[], { version, hash }: Candidate): string {
  const newest = versions.find(({ isNewest }) => isNewest)
  const what = newest === undefined ? 'was removed' : `is another one in its newest version (${newest.id})`
  return `${nameOfManifest(id)} ${what}: somebody hid it. The version ${version.id} with the SHA-256 ${hashToHex(hash)} is good, and was read`
}

/**
 * Each different one once, the newest first, and what is wrong with the newest of the others. What one says of its own roots and
 * notes must hold; and where keys tell whose notes count, those with fewer of them, which anybody can make, count as none.
 */
async function readCandidates(
  { place, signal }: ArchiveReader,
  id: string,
  versions: readonly PlacedVersion[],
  keys: readonly VerifierKey[],
): Promise<{ readonly candidates: readonly Candidate[]; readonly problem: ServiceError | null }> {
  const known = new Set<Hash>()
  let candidates: Candidate[] = []
  let problem: ServiceError | null = null
  for (const version of versions) {
    signal.throwIfAborted()
    const bytes = await orUnread(version.read(MAX_MANIFEST_BYTES, signal))
    if (bytes instanceof NotGiven) problem ??= bytes
    if (bytes === null || bytes instanceof NotGiven) continue
    const hash = bytes === 'too large' ? null : sha256(bytes)
    if (hash !== null && known.has(hash)) continue
    try {
      const { manifest, manifestHash } = readManifest(id, bytes)
      known.add(manifestHash)
      for (const log of manifest.logs) checkPart(id, log, hashFromHex(log.rootHash), keys)
      const signed = signedIn(manifest)
      const most = keys.length === 0 ? signed : (candidates[0]?.signed ?? signed)
      if (signed > most) candidates = []
      if (signed >= most) candidates.push({ version, hash: manifestHash, core: coreOf(manifest), signed })
    } catch (error) {
      if (!isFaulty(error)) throw error
      problem ??= error
    }
  }
  if (candidates.length > MAX_MANIFESTS)
    throw new ServiceError(
      'ARCHIVE_AMBIGUOUS',
      `${nameOfManifest(id)} has more than ${MAX_MANIFESTS} different versions in ${place.name}`,
    )
  return { candidates, problem }
}

const coreOf = ({ logs, ...manifest }: Manifest): Hash =>
  sha256(
    Buffer.from(
      canonicalize({ ...manifest, logs: logs.map(({ note: _, consistency: __, ...log }) => log) }),
      'utf8',
    ),
  )

const signedIn = ({ logs }: Manifest): number => logs.filter(({ note }) => note !== null).length

/** Undefined for none of none. Throws what is wrong with the newest when none is good, and ARCHIVE_AMBIGUOUS. */
async function choose(
  reader: ArchiveReader,
  id: string,
  candidates: readonly Candidate[],
  keys: readonly VerifierKey[],
  say: (line: string) => void,
): Promise<Candidate | undefined> {
  say(`${nameOfManifest(id)} has ${candidates.length} versions that differ: looking for the good one`)
  // Taking notes away makes no other archive, and no better one.
  const bestOfEach = [...new Set(candidates.map(({ core }) => core))].flatMap((core) =>
    candidates
      .filter((candidate) => candidate.core === core)
      .sort((a, b) => b.signed - a.signed)
      .slice(0, 1),
  )
  if (bestOfEach.length === 1) return bestOfEach[0]
  const proven: Candidate[] = []
  let problem: ServiceError | null = null
  for (const candidate of bestOfEach) {
    reader.signal.throwIfAborted()
    try {
      await verifyArchive(reader, await reopen(reader, id, candidate), keys, say)
      proven.push(candidate)
    } catch (error) {
      if (!isFaulty(error)) throw error
      problem ??= error
    }
  }
  if (proven.length > 1) throw await ambiguous(reader, id, proven)
  if (proven.length === 0 && problem !== null) throw problem
  return proven[0]
}

/** Names all of them, and what they say differently. */
async function ambiguous(
  reader: ArchiveReader,
  id: string,
  proven: readonly Candidate[],
): Promise<ServiceError> {
  const values = new Map<string, Set<string>>()
  for (const candidate of proven)
    for (const [member, value] of Object.entries((await reopen(reader, id, candidate)).manifest))
      values.set(member, (values.get(member) ?? new Set()).add(canonicalize(value)))
  const differing = [...values].filter(([, said]) => said.size > 1).map(([member]) => member)
  const named = proven.map(({ version, hash }) => `version ${version.id} with the SHA-256 ${hashToHex(hash)}`)
  return new ServiceError(
    'ARCHIVE_AMBIGUOUS',
    `${nameOfManifest(id)} has ${proven.length} versions that are good and differ in ${differing.join(', ')}: ${named.join(', ')}`,
  )
}

/** It was read before, and not kept: there may be many, and large ones. */
async function reopen(
  { signal }: ArchiveReader,
  id: string,
  { version, hash }: Candidate,
): Promise<OpenedArchive> {
  const bytes = await orUnread(version.read(MAX_MANIFEST_BYTES, signal))
  if (bytes instanceof NotGiven) throw bytes
  if (bytes === null) throw damaged(nameOfManifest(id), `lost its version ${version.id} while it was read`)
  const opened = readManifest(id, bytes)
  if (opened.manifestHash === hash) return opened
  throw damaged(nameOfManifest(id), `changed in its version ${version.id} while it was read`)
}
