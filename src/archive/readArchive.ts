/** Reads an archive back and finds out whether it is what it says: hashes, leaves, roots, signed notes. */
import { parseCheckpointLine } from '../domain/archive/checkpointLine.ts'
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
import type { LeafContent, ReadRecord } from '../domain/evidence/exportedRecord.ts'
import type { VerifierKey } from '../domain/evidence/noteKeys.ts'
import { hashFromHex, hashToHex, sha256 } from '../domain/hash.ts'
import { appendLeaves, frontierFromBase64, rootOf } from '../domain/merkle.ts'
import { type Frontier, type Hash, type LeafIndex, leafIndex } from '../domain/model.ts'
import { verifyConsistency } from '../domain/proofs.ts'
import { ServiceError } from '../errors.ts'
import type { ArchiveCodec, ArchivePlace } from '../ports.ts'
import { damaged, getLines } from './files.ts'

export interface ArchiveReader {
  readonly place: ArchivePlace
  readonly codec: ArchiveCodec
  readonly signal: AbortSignal
}

export interface OpenedArchive {
  readonly manifest: Manifest
  readonly manifestHash: Hash
}

/** Null when there is none: it was never finished. Throws ARCHIVE_DAMAGED, PLACE_UNAVAILABLE. */
export async function openArchive(
  { place, signal }: Omit<ArchiveReader, 'codec'>,
  id: string,
): Promise<OpenedArchive | null> {
  const name = `${id}/${MANIFEST_NAME}`
  const bytes = await place.get(name, MAX_MANIFEST_BYTES, signal)
  if (bytes === null) return null
  const manifest = parseManifest(bytes.toString('utf8'))
  if (!manifest.ok) throw damaged(name, `is not good: ${manifest.detail}`)
  if (manifest.value.id !== id) throw damaged(name, `is of the archive ${manifest.value.id}`)
  return { manifest: manifest.value, manifestHash: sha256(bytes) }
}

/** First offset behind a leaf. */
export function endOf(content: LeafContent): bigint {
  switch (content.kind) {
    case 'record':
      return content.offset + 1n
    case 'gap':
      return content.to
    case 'batch':
      return content.lastOffset + 1n
    default:
      return content satisfies never
  }
}

export function startOf(content: LeafContent): bigint {
  switch (content.kind) {
    case 'record':
      return content.offset
    case 'gap':
      return content.from
    case 'batch':
      return content.firstOffset
    default:
      return content satisfies never
  }
}

/** The leaves of a file, in order, each with the leaf that its bytes have. Throws ARCHIVE_DAMAGED. */
export async function readLeaves(
  reader: ArchiveReader,
  archiveId: string,
  log: Pick<ManifestLog, 'origin'>,
  file: LeavesFile,
): Promise<readonly ReadRecord[]> {
  const lines = await getLines(reader.place, reader.codec, archiveId, file, reader.signal)
  const path = `${archiveId}/${file.name}`
  let leaf = BigInt(file.fromLeaf)
  let end = BigInt(file.fromOffset)
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

/** Verifies the next file of a part. Throws ARCHIVE_DAMAGED. */
export async function verifyNextFile(
  reader: ArchiveReader,
  archiveId: string,
  log: ManifestLog,
  position: PartPosition,
): Promise<PartPosition> {
  const file = log.files[position.files]
  if (file === undefined) return position
  const before = frontierOf(archiveId, position)
  const records = await readLeaves(reader, archiveId, log, file)
  const frontier = grow(BigInt(position.leaves), before, records)
  return {
    files: position.files + 1,
    leaves: file.toLeaf,
    frontier: Buffer.from(frontier.join(''), 'latin1').toString('base64'),
  }
}

/**
 * The end of a part: its root, its signed note, the proof between the two, and the checkpoints beside it. Keys are those that
 * may sign; a note of none of them is damage. Throws ARCHIVE_DAMAGED, NOTE_REFUSED.
 */
export async function concludePart(
  reader: ArchiveReader,
  archiveId: string,
  log: ManifestLog,
  position: PartPosition,
  keys: readonly VerifierKey[],
): Promise<void> {
  if (position.leaves !== log.toLeaf)
    throw damaged(`${archiveId}/${MANIFEST_NAME}`, `lacks leaves of ${log.origin}`)
  checkPart(archiveId, log, rootOf(frontierOf(archiveId, position), BigInt(log.toLeaf)), keys)
  for (const file of log.checkpoints) {
    const lines = await getLines(reader.place, reader.codec, archiveId, file, reader.signal)
    for (const line of lines) {
      const checkpoint = parseCheckpointLine(line)
      if (!checkpoint.ok) throw damaged(`${archiveId}/${file.name}`, `has a bad line: ${checkpoint.detail}`)
    }
  }
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
