/** Files of an archive: packed lines, named after what they hold and after the hash of what lies there. */
import { MAX_FILE_LINES, type ManifestFile } from '../domain/archive/manifest.ts'
import { hashFromHex, hashToHex, sha256 } from '../domain/hash.ts'
import type { Hash, LogIdentity } from '../domain/model.ts'
import { ServiceError, TooLarge } from '../errors.ts'
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
  const packed = await getPacked(place, path, file, signal)
  const content = await codec.unpack(packed, file.unpackedBytes)
  if (content === null) throw damaged(path, 'cannot be unpacked')
  return linesOf(path, content, file.lines)
}

async function getPacked(
  place: ArchivePlace,
  path: string,
  file: ManifestFile,
  signal: AbortSignal,
): Promise<Buffer> {
  const packed = await place.get(path, file.bytes, signal).catch((error: unknown) => {
    if (error instanceof TooLarge) throw damaged(path, `has more than ${file.bytes} bytes`)
    throw error
  })
  if (packed === null) throw damaged(path, 'is missing')
  if (packed.length !== file.bytes) throw damaged(path, `has ${packed.length} bytes, not ${file.bytes}`)
  if (sha256(packed) !== hashFromHex(file.sha256)) throw damaged(path, 'has another SHA-256')
  return packed
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

/** `what`: what is wrong with the file of that name. */
export const damaged = (name: string, what: string): ServiceError =>
  new ServiceError('ARCHIVE_DAMAGED', `${name} ${what}`)
