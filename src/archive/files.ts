/** Files of an archive: packed lines, named after what they hold and after the hash of what lies there. */
import {
  MANIFEST_NAME,
  MAX_FILE_LINES,
  MAX_MANIFEST_BYTES,
  type ManifestFile,
} from '../domain/archive/manifest.ts'
import { hashFromHex, hashToHex, sha256 } from '../domain/hash.ts'
import type { Hash, LogIdentity } from '../domain/model.ts'
import { NotGiven, ServiceError, TooLarge } from '../errors.ts'
import type { ArchiveCodec, ArchivedLog, ArchiveFileKind, ArchivePlace } from '../ports.ts'

/** A file is cut behind the leaf that reaches one of these: from the same leaf on always the same file. */
export const FILE_BYTES = 16 * 1024 * 1024
export const FILE_LINES = MAX_FILE_LINES

/** As long as a string can be: a little less than the largest file. */
const MAX_LINE_BYTES = 2 ** 29 - 24

export interface PutFile {
  readonly name: string
  readonly bytes: number
  readonly unpackedBytes: number
  readonly sha256: Hash
}

export interface FileTarget {
  readonly archiveId: string
  readonly log: Pick<ArchivedLog, 'logId'> & { readonly identity: LogIdentity; readonly incarnation: number }
  readonly kind: ArchiveFileKind
  /** What tells it from others of its kind, in the order of the names: leaf or number. */
  readonly from: bigint
  readonly to: bigint
}

/** Packs and puts; the same lines make the same file under the same name. */
export async function putLines(
  place: ArchivePlace,
  codec: ArchiveCodec,
  target: FileTarget,
  lines: readonly string[],
  signal: AbortSignal,
): Promise<PutFile> {
  const content = Buffer.from(`${lines.join('\n')}\n`, 'utf8')
  const packed = await codec.pack(content)
  const hash = sha256(packed)
  const name = `${folderOf(target)}/${target.kind}-${number(target.from)}-${number(target.to)}-${hashToHex(hash)}.ndjson.zst`
  await place.put(`${target.archiveId}/${name}`, packed, signal)
  return { name, bytes: packed.length, unpackedBytes: content.length, sha256: hash }
}

/** Topic names have no slash, and none is `.` or `..`. */
const folderOf = ({ log: { identity, incarnation } }: FileTarget): string =>
  `${identity.topic}/${identity.partition}-${incarnation}`

/** As names sort, so do numbers. */
const number = (value: bigint): string => String(value).padStart(19, '0')

/** The lines of a file as they were put. Throws ARCHIVE_DAMAGED, which names it. */
export async function getLines(
  place: ArchivePlace,
  codec: ArchiveCodec,
  archiveId: string,
  /** Of a manifest that was parsed: within the limits of what is ever written. */
  file: ManifestFile,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const path = `${archiveId}/${file.name}`
  const { bytes } = file
  const packed = await getHeld(
    place,
    path,
    { bytes, maxBytes: bytes, sha256: hashFromHex(file.sha256) },
    signal,
  )
  const content = await codec.unpack(packed, file.unpackedBytes)
  if (content === null) throw damaged(path, 'cannot be unpacked')
  return linesOf(path, content, file.lines)
}

/** What a file must be to be the right one. */
export interface WantedFile {
  /** Null: any length up to `maxBytes`. */
  readonly bytes: number | null
  readonly maxBytes: number
  readonly sha256: Hash
}

/**
 * The file as it was put. Names say little in a bucket, where whoever may write can put something newer over a locked object, or
 * a removal: when the newest version is another one, the version that has the right hash is it. Throws ARCHIVE_DAMAGED,
 * PLACE_UNAVAILABLE.
 */
export async function getHeld(
  place: ArchivePlace,
  path: string,
  wanted: WantedFile,
  signal: AbortSignal,
): Promise<Buffer> {
  const newest = await orUnread(place.get(path, wanted.maxBytes, signal))
  const problem = problemOf(newest, wanted)
  if (problem === null && Buffer.isBuffer(newest)) return newest
  // The first was there before anybody knew its name.
  const versions = [...(await place.versions(path, signal))].reverse()
  for (const version of versions) {
    if (wanted.bytes === null ? version.bytes > wanted.maxBytes : version.bytes !== wanted.bytes) continue
    signal.throwIfAborted()
    const content = await orUnread(version.read(wanted.maxBytes, signal))
    if (problemOf(content, wanted) !== null || !Buffer.isBuffer(content)) continue
    place.remark(
      `${path} ${problem} in its newest version: somebody hid it. The version ${version.id} is the right one, and was read`,
    )
    return content
  }
  if (newest === null && versions.length === 0 && (await isGone(place, path, signal)))
    throw new ServiceError(
      'PLACE_UNAVAILABLE',
      `${path} is missing at ${place.name}, and so is all of its archive that was there before: the place went away, or somebody removed the archive`,
    )
  if (newest instanceof NotGiven) throw new NotGiven(`${path}: ${newest.message}`, { cause: newest })
  const none = versions.length > 1 ? `, and none of its ${versions.length} versions is right` : ''
  throw damaged(path, `${problem}${none}`)
}

/**
 * Whether more is missing than the file: its archive's manifest too, which was read before; and where it is the manifest, the
 * archive's folder. A disk that is not mounted looks like an empty folder.
 */
async function isGone(place: ArchivePlace, path: string, signal: AbortSignal): Promise<boolean> {
  const id = path.slice(0, path.indexOf('/'))
  const manifest = `${id}/${MANIFEST_NAME}`
  if (path === manifest) return !(await place.folders(signal)).includes(id)
  return !(await hasManifest(place, id, signal))
}

/** Also one that cannot be read, and one that was removed from a bucket that keeps versions. Throws PLACE_UNAVAILABLE. */
export async function hasManifest(place: ArchivePlace, id: string, signal: AbortSignal): Promise<boolean> {
  const name = `${id}/${MANIFEST_NAME}`
  const newest = await orUnread(place.get(name, MAX_MANIFEST_BYTES, signal))
  return newest !== null || (await place.versions(name, signal)).length > 0
}

export type Read = Buffer | 'too large' | NotGiven | null

/** Throws what reading throws. */
export const orUnread = (read: Promise<Buffer | null>): Promise<Read> =>
  read.catch((error: unknown) => {
    if (error instanceof TooLarge) return 'too large' as const
    if (error instanceof NotGiven) return error
    throw error
  })

/** What is wrong with it; null: nothing. */
function problemOf(content: Read, { bytes, maxBytes, sha256: hash }: WantedFile): string | null {
  if (content === null) return 'is missing'
  if (content instanceof NotGiven) return 'cannot be read'
  if (content === 'too large') return `has more than ${maxBytes} bytes`
  if (bytes !== null && content.length !== bytes) return `has ${content.length} bytes, not ${bytes}`
  return sha256(content) === hash ? null : 'has another SHA-256'
}

const NEWLINE = 0x0a

/** No more strings are made than there may be lines: a file of nothing but newlines would be millions. */
function linesOf(path: string, content: Buffer, wanted: number): readonly string[] {
  if (content.at(-1) !== NEWLINE) throw damaged(path, 'does not end with a newline')
  const lines: string[] = []
  for (let from = 0; from < content.length; ) {
    if (lines.length === wanted) throw damaged(path, `has more than ${wanted} lines`)
    const end = content.indexOf(NEWLINE, from)
    if (end - from > MAX_LINE_BYTES) throw damaged(path, `has a line of ${end - from} bytes`)
    lines.push(content.toString('utf8', from, end))
    from = end + 1
  }
  if (lines.length !== wanted) throw damaged(path, `has ${lines.length} lines, not ${wanted}`)
  return lines
}

const FAULTS: ReadonlySet<string> = new Set(['ARCHIVE_DAMAGED', 'NOTE_REFUSED', 'ROOT_MISMATCH'])

/** An archive is not what it says: that is its own fault, and neither its place's nor the caller's. */
export const isFaulty = (error: unknown): error is ServiceError =>
  error instanceof ServiceError && FAULTS.has(error.code)

/** `what`: what is wrong with the file of that name. */
export const damaged = (name: string, what: string): ServiceError =>
  new ServiceError('ARCHIVE_DAMAGED', `${name} ${what}`)
