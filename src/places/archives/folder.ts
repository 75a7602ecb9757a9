import { readdir, rename, stat, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { ServiceError, TooLarge } from '../../errors.ts'
import type { ArchivePlace } from '../../ports.ts'
import {
  draftIn,
  makeFolders,
  readBounded,
  syncFolder,
  systemCode,
  untilAborted,
  writeSynced,
} from '../folders.ts'
import { createRemarks } from './remarks.ts'

/** Archives hold what people wrote. */
const modes = { file: 0o640, folder: 0o750 }

/** A folder. A file appears whole or not at all, and is on the disk before it counts. */
export function createFolderArchives(folder: string): ArchivePlace {
  return {
    name: folder,
    address: folder,
    ...createRemarks(() => undefined),
    versions: async () => [],
    put: (name, content) => guarded('writing to', folder, () => put(folder, name, content)),
    get: (name, maxBytes, signal) =>
      guarded('reading from', folder, () => get(join(folder, name), maxBytes), signal),
    folders: (signal) => guarded('listing', folder, () => foldersIn(folder), signal),
    close: () => undefined,
  }
}

/** Also where links lead to: archives may have been moved to another disk. */
async function foldersIn(folder: string): Promise<string[]> {
  const found: string[] = []
  for (const entry of await readdir(folder, { withFileTypes: true }))
    if (entry.isDirectory() || (entry.isSymbolicLink() && (await leadsToFolder(join(folder, entry.name)))))
      found.push(entry.name)
  return found.sort()
}

const LEADS_NOWHERE = new Set(['ENOENT', 'ENOTDIR', 'ELOOP', 'EACCES'])

/** A link that leads nowhere is listed too: what lies behind it may be away, and is not to be passed over in silence. */
async function leadsToFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory()
  } catch (error) {
    if (LEADS_NOWHERE.has(systemCode(error))) return true
    throw error
  }
}

/** Reading ends with the signal, whatever the disk does; writing goes on to its end. */
async function guarded<T>(
  doing: string,
  folder: string,
  work: () => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  try {
    return signal === undefined ? await work() : await untilAborted(work, signal)
  } catch (error) {
    if (error instanceof ServiceError || signal?.aborted === true) throw error
    throw new ServiceError(
      'PLACE_UNAVAILABLE',
      `${doing} the folder ${folder} failed (${systemCode(error)})`,
      {
        cause: error,
      },
    )
  }
}

async function put(folder: string, name: string, content: Buffer): Promise<void> {
  const path = join(folder, name)
  const directory = dirname(path)
  await makeFolders(folder, directory, modes)
  const draft = draftIn(directory)
  try {
    await writeSynced(draft, content, modes)
    await rename(draft, path)
  } catch (error) {
    await unlink(draft).catch(() => undefined) // what is wrong is said by the first error
    throw error
  }
  await syncFolder(directory)
}

async function get(path: string, maxBytes: number): Promise<Buffer | null> {
  const found = await readBounded(path, maxBytes).catch((error: unknown) => {
    if (systemCode(error) === 'ENOTDIR') return 'none' as const
    throw error
  })
  if (found === 'too large') throw new TooLarge(`a file has more than ${maxBytes} bytes`)
  return Buffer.isBuffer(found) ? found : null
}
