import { isUtf8 } from 'node:buffer'
import { createReadStream } from 'node:fs'
import { CliFailure } from '../failure.ts'

/** Largest file that is read: an archive's records in one piece, far above any proof. */
const MAX_FILE_BYTES = 256 * 1024 * 1024
/** Largest list of keys: a thousand of them with room for remarks. */
const MAX_KEYS_BYTES = 2_000_000

/** The bytes of a file or pipe. Throws CliFailure that names it. */
export async function readBytes(path: string, maxBytes = MAX_FILE_BYTES): Promise<Buffer> {
  const chunks: Buffer[] = []
  let length = 0
  try {
    for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
      length += chunk.length
      if (length > maxBytes) throw badFile(path, `has more than ${maxBytes} bytes`)
      chunks.push(chunk)
    }
  } catch (error) {
    throw error instanceof CliFailure ? error : badFile(path, reasonOf(error))
  }
  return Buffer.concat(chunks)
}

/** The text of a list of keys. Throws CliFailure that names the file. */
export async function readKeyList(path: string): Promise<string> {
  const bytes = await readBytes(path, MAX_KEYS_BYTES)
  if (!isUtf8(bytes)) throw badFile(path, 'is not UTF-8')
  return bytes.toString('utf8')
}

export const badFile = (path: string, why: string): CliFailure =>
  new CliFailure(2, 'BAD_REQUEST', `${path}: ${why}`)

/** Of a file that cannot be written: then what is missing is never the file. */
export function badOutput(path: string, error: unknown): CliFailure {
  const isFolderMissing = error instanceof Error && 'code' in error && error.code === 'ENOENT'
  return badFile(path, isFolderMissing ? 'there is no such folder to write to' : reasonOf(error))
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EISDIR: 'is a folder',
  ENOTDIR: 'there is no such file',
  EACCES: 'access is denied',
  EPERM: 'access is denied',
  EEXIST: 'is there already, and is left as it is',
  ENOSPC: 'the disk is full',
}

/** What the system said, in words where it says it often. */
export function reasonOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown reason'
  return reasons[code] ?? `the system refuses (${code})`
}
