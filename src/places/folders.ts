import { randomUUID } from 'node:crypto'
import { constants } from 'node:fs'
import { mkdir, open } from 'node:fs/promises'
import { dirname, join } from 'node:path'

/** What of files and folders is for whom, as in chmod(2). */
export interface Modes {
  readonly file: number
  readonly folder: number
}

/** Makes `directory` below `folder`, on the disk. The folder itself must be there: it may be another disk, not mounted now. */
export async function makeFolders(folder: string, directory: string, { folder: mode }: Modes): Promise<void> {
  await syncFolder(folder)
  const first = await mkdir(directory, { recursive: true, mode })
  if (first === undefined) return
  for (let made = directory; made !== folder && made.startsWith(folder); made = dirname(made))
    await syncFolder(dirname(made))
}

/** Where a draft of a file in this directory goes: nobody else's, and no name that anything looks for. */
export const draftIn = (directory: string): string => join(directory, `.${randomUUID()}.tmp`)

/** Writes a file that must not be there yet, and returns when its content is on the disk. */
export async function writeSynced(path: string, content: string | Buffer, { file }: Modes): Promise<void> {
  const handle = await open(path, 'wx', file)
  try {
    await handle.writeFile(content)
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** Names that were made in the folder are on the disk. */
export async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** The system's own, such as ENOENT. */
export const systemCode = (error: unknown): string =>
  error instanceof Error && 'code' in error ? String(error.code) : 'unknown reason'

/** What a name has that is no file, or is larger than it may be: neither can be waited for. */
export type FileContent = Buffer | 'none' | 'no file' | 'too large'

/** Bounded in memory, and does not wait for what has no end, or no beginning. Throws the system's errors. */
export async function readBounded(path: string, maxBytes: number): Promise<FileContent> {
  try {
    const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
    try {
      const found = await handle.stat()
      if (!found.isFile()) return 'no file'
      return found.size > maxBytes ? 'too large' : await handle.readFile()
    } finally {
      await handle.close()
    }
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return 'none'
    throw error
  }
}

/** A call to a disk that hangs cannot be broken off, but whoever waits for it can go on. */
export function untilAborted<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted()
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(signal.reason)
    signal.addEventListener('abort', stop, { once: true })
    const over = (): void => signal.removeEventListener('abort', stop)
    void work().then(resolve, reject).finally(over)
  })
}
