/** Reads an archive back and finds out whether it is what it says: hashes, leaves, roots, signed notes. */
import {
  type LeavesFile,
  MANIFEST_NAME,
  MAX_MANIFEST_BYTES,
  type Manifest,
  type ManifestLog,
  parseManifest,
} from '../domain/archive/manifest.ts'
import { readRecordLine } from '../domain/archive/recordLines.ts'
import { hashFromBase64, openCheckpoint } from '../domain/evidence/checkpointNote.ts'
import type { ReadRecord } from '../domain/evidence/exportedRecord.ts'
import type { VerifierKey } from '../domain/evidence/noteKeys.ts'
import { hashFromHex, hashToHex, sha256 } from '../domain/hash.ts'
import { appendLeaves, frontierFromBase64, rootOf } from '../domain/merkle.ts'
import { type Frontier, type Hash, type LeafIndex, leafIndex } from '../domain/model.ts'
import { verifyConsistency } from '../domain/proofs.ts'
import { NotGiven, ServiceError } from '../errors.ts'
import type { ArchiveCodec, ArchivePlace } from '../ports.ts'
import { damaged, getHeld, getLines, orUnread } from './files.ts'
import { endOf, startOf } from './leafEnds.ts'
import { type ClaimedRoot, checkpointsIn, claimOf, RootChecker } from './rootChecker.ts'

export interface ArchiveReader {
  readonly place: ArchivePlace
  readonly codec: ArchiveCodec
  readonly signal: AbortSignal
}

export interface OpenedArchive {
  readonly manifest: Manifest
  readonly manifestHash: Hash
}

/**
 * The newest manifest. Null when there is none: it was never finished, or that was hidden (`findArchive`). Throws
 * ARCHIVE_DAMAGED, PLACE_UNAVAILABLE.
 */
export async function openArchive(
  { place, signal }: Omit<ArchiveReader, 'codec'>,
  id: string,
): Promise<OpenedArchive | null> {
  const bytes = await orUnread(place.get(nameOfManifest(id), MAX_MANIFEST_BYTES, signal))
  if (bytes instanceof NotGiven)
    throw new NotGiven(`${nameOfManifest(id)}: ${bytes.message}`, { cause: bytes })
  return bytes === null ? null : readManifest(id, bytes)
}

export const nameOfManifest = (id: string): string => `${id}/${MANIFEST_NAME}`

/** The manifest of the archive with that id. Throws ARCHIVE_DAMAGED for anything else. */
export function readManifest(id: string, bytes: Buffer | 'too large'): OpenedArchive {
  const name = nameOfManifest(id)
  if (bytes === 'too large') throw damaged(name, `has more than ${MAX_MANIFEST_BYTES} bytes`)
  const manifest = parseManifest(bytes.toString('utf8'))
  if (!manifest.ok) throw damaged(name, `is not good: ${manifest.detail}`)
  if (manifest.value.id !== id) throw damaged(name, `is of the archive ${manifest.value.id}`)
  return { manifest: manifest.value, manifestHash: sha256(bytes) }
}

/** The manifest that has this hash, also where something newer hides it. Throws ARCHIVE_DAMAGED, PLACE_UNAVAILABLE. */
export async function reopenArchive(
  { place, signal }: Omit<ArchiveReader, 'codec'>,
  id: string,
  hash: Hash,
): Promise<OpenedArchive> {
  const wanted = { bytes: null, maxBytes: MAX_MANIFEST_BYTES, sha256: hash }
  return readManifest(id, await getHeld(place, nameOfManifest(id), wanted, signal))
}

/**
 * `reopenArchive` for slices of one archive that run beside each other or soon after: while one of them has the manifest in hand,
 * the next one gets it too. That of thousands of logs takes long to read, and no other has its hash.
 */
export function createReopening(): typeof reopenArchive {
  let last: { readonly key: string; readonly manifest: WeakRef<Manifest> } | null = null
  return async (reader, id, hash) => {
    const key = `${reader.place.address} ${id} ${hash}`
    const known = last?.key === key ? last.manifest.deref() : undefined
    if (known !== undefined) return { manifest: known, manifestHash: hash }
    const opened = await reopenArchive(reader, id, hash)
    last = { key, manifest: new WeakRef(opened.manifest) }
    return opened
  }
}

/** Clocks of two servers may differ by that much. */
export const CLOCK_MS = 3_600_000

/** The leaves of a file, in order, each with the leaf that its bytes have. Throws ARCHIVE_DAMAGED. */
export async function readLeaves(
  reader: ArchiveReader,
  { id: archiveId, createdAt }: Pick<Manifest, 'id' | 'createdAt'>,
  /** When the leaf before them was ingested. */
  after: number,
  log: Pick<ManifestLog, 'origin'>,
  file: LeavesFile,
): Promise<readonly ReadRecord[]> {
  const lines = await getLines(reader.place, reader.codec, archiveId, file, reader.signal)
  const path = `${archiveId}/${file.name}`
  let leaf = BigInt(file.fromLeaf)
  let end = BigInt(file.fromOffset)
  let ingestedMs = after
  const records: ReadRecord[] = []
  for (const line of lines) {
    const read = readRecordLine(line)
    const bad = (what: string): ServiceError => damaged(path, `has a bad line for leaf ${leaf}: ${what}`)
    if (!read.ok) throw bad(read.detail)
    const { origin, leafIndex: index, content, ingestedAt } = read.value
    if (origin !== log.origin) throw bad('it is of another log')
    if (index !== leaf) throw bad(`it is leaf ${index}`)
    if (startOf(content) < end) throw bad(`its offset lies before ${end}`)
    if (ingestedAt === undefined) throw bad('it does not say when it was ingested')
    if (ingestedAt < ingestedMs) throw bad('it was ingested before the one before it')
    if (ingestedAt > createdAt + CLOCK_MS) throw bad('it was ingested after the archive was made')
    ingestedMs = ingestedAt
    end = endOf(content)
    leaf++
    records.push(read.value)
  }
  if (end > BigInt(file.toOffset)) throw damaged(path, `reaches beyond the offset ${file.toOffset}`)
  return records
}

/** How far the verification of one log's part has come: plain JSON. */
export interface PartPosition {
  /** Files that are verified. */
  readonly files: number
  readonly leaves: string
  /** Compact range of the log's leaves so far, base64. */
  readonly frontier: string
  /** When the last of them was ingested; older slices did not say. */
  readonly ingestedAt?: number
}

export const startOfPart = (log: ManifestLog): PartPosition => ({
  files: 0,
  leaves: log.fromLeaf,
  frontier: log.frontier,
})

/** The compact range of the leaves up to `position`. Throws ARCHIVE_DAMAGED for one that is none. */
export function frontierOf(id: string, position: PartPosition): Frontier {
  try {
    const frontier = frontierFromBase64(position.frontier)
    rootOf(frontier, BigInt(position.leaves))
    return frontier
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    throw damaged(`${id}/${MANIFEST_NAME}`, 'has a compact range that is none')
  }
}

/** What the leaves of a file lead to. */
export function grow(size: bigint, frontier: Frontier, records: readonly ReadRecord[]): Frontier {
  const leaves = records.map(({ leaf }) => leaf)
  return appendLeaves({ size: leafIndex(size), frontier }, leaves).frontier
}

/** What the checkpoints beside a part say of its log. Throws ARCHIVE_DAMAGED, NOTE_REFUSED. */
export async function claimsOfPart(
  reader: ArchiveReader,
  archiveId: string,
  log: ManifestLog,
  keys: readonly VerifierKey[],
): Promise<readonly ClaimedRoot[]> {
  const claims: ClaimedRoot[] = []
  const { place, codec, signal } = reader
  for (const file of log.checkpoints) {
    const lines = await getLines(place, codec, archiveId, file, signal)
    for (const { checkpoint } of checkpointsIn(lines, `${archiveId}/${file.name}`, log))
      claims.push(claimOf(log.origin, checkpoint, keys))
  }
  return claims
}

/** Verifies the next file of a part, and the claims over it. Throws ARCHIVE_DAMAGED, ROOT_MISMATCH. */
export async function verifyNextFile(
  reader: ArchiveReader,
  manifest: Pick<Manifest, 'id' | 'createdAt'>,
  log: ManifestLog,
  position: PartPosition,
  claims: readonly ClaimedRoot[],
): Promise<PartPosition> {
  const file = log.files[position.files]
  if (file === undefined) return position
  const before = frontierOf(manifest.id, position)
  const from = BigInt(position.leaves)
  const records = await readLeaves(reader, manifest, position.ingestedAt ?? 0, log, file)
  const frontier = grow(from, before, records)
  const start = { size: from, frontier: before, offset: from === 0n ? BigInt(log.startOffset) : null }
  new RootChecker(log.origin, claims, start).take({ records, size: BigInt(file.toLeaf), frontier })
  const last = records.at(-1)?.ingestedAt
  return {
    files: position.files + 1,
    leaves: file.toLeaf,
    frontier: Buffer.from(frontier.join(''), 'latin1').toString('base64'),
    ...(last !== undefined && { ingestedAt: last }),
  }
}

/**
 * The end of a part: its root, its signed note, and the proof between the two. Keys are those that may sign; a note of none of
 * them is damage. Throws ARCHIVE_DAMAGED, NOTE_REFUSED.
 */
export function concludePart(
  archiveId: string,
  log: ManifestLog,
  position: PartPosition,
  keys: readonly VerifierKey[],
): void {
  if (position.leaves !== log.toLeaf)
    throw damaged(`${archiveId}/${MANIFEST_NAME}`, `lacks leaves of ${log.origin}`)
  checkPart(archiveId, log, rootOf(frontierOf(archiveId, position), BigInt(log.toLeaf)), keys)
}

/** What a manifest says of a part, held against the root that its leaves give. Throws ARCHIVE_DAMAGED, NOTE_REFUSED. */
export function checkPart(
  archiveId: string,
  log: ManifestLog,
  root: Hash,
  keys: readonly VerifierKey[],
): void {
  const name = `${archiveId}/${MANIFEST_NAME}`
  if (root !== hashFromHex(log.rootHash))
    throw damaged(name, `says of ${log.origin} another root than its leaves give: ${hashToHex(root)}`)
  const before = rootOf(frontierOf(archiveId, startOfPart(log)), BigInt(log.fromLeaf))
  if (before !== hashFromHex(log.rootHashBefore))
    throw damaged(
      name,
      `says of ${log.origin} another root before its first leaf than its compact range gives`,
    )
  if (log.note !== null) checkNote(name, log, root, keys)
}

function checkNote(name: string, log: ManifestLog, root: Hash, keys: readonly VerifierKey[]): void {
  const { origin, note, consistency } = log
  const opened = openCheckpoint(note ?? '', { keys, origin })
  if (!opened.ok) throw new ServiceError('NOTE_REFUSED', `${name}: the note of ${origin}: ${opened.detail}`)
  const hashes = consistency.map(hashFromBase64)
  const old = { oldSize: BigInt(log.toLeaf) as LeafIndex, oldRoot: root }
  const { size, root: newRoot } = opened.value
  const known = hashes.filter((hash) => hash !== null)
  const follows =
    old.oldSize === 0n
      ? known.length === 0
      : known.length === hashes.length &&
        size >= old.oldSize &&
        verifyConsistency({ ...old, size, root: newRoot }, known)
  if (!follows)
    throw damaged(name, `has a proof that does not lead from the leaves of ${origin} to its signed note`)
}
