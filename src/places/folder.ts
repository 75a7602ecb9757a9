import { randomUUID } from 'node:crypto'
import { link, mkdir, open, readFile, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { notePath } from '../domain/evidence/notePlace.ts'
import { ServiceError } from '../errors.ts'
import type { NotePlace, Placement } from '../ports.ts'
import { judgeHeld, originOrConflict } from './held.ts'

/**
 * A folder with one file for each note. A file appears whole or not at all, is on the disk before it counts, and is never
 * written over: one that says something else is a conflict.
 */
export function createFolderPlace(name: string, folder: string): NotePlace {
  return {
    name,
    async place({ size, note }) {
      const origin = originOrConflict(note)
      if (typeof origin !== 'string') return origin
      try {
        return await file(folder, notePath(origin, size), note)
      } catch (error) {
        throw new ServiceError('PLACE_UNAVAILABLE', `writing to the folder failed (${systemCode(error)})`, {
          cause: error,
        })
      }
    },
    close: () => undefined,
  }
}

async function file(folder: string, relative: string, note: string): Promise<Placement> {
  const path = join(folder, relative)
  const directory = dirname(path)
  const held = await contentOf(path)
  if (held !== null) return judgeHeld(note, held, `the file ${relative}`)
  await makeFolders(folder, directory)
  const draft = join(directory, `.${randomUUID()}.tmp`)
  try {
    const handle = await open(draft, 'wx', 0o644)
    try {
      await handle.writeFile(note)
      await handle.sync()
    } finally {
      await handle.close()
    }
    // Unlike a rename, a link replaces nothing.
    await link(draft, path)
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error
    const other = await contentOf(path)
    if (other === null) throw error
    return judgeHeld(note, other, `the file ${relative}`)
  } finally {
    await unlink(draft).catch((error: unknown) => {
      if (systemCode(error) !== 'ENOENT') throw error
    })
  }
  await syncFolder(directory)
  return { outcome: 'held' }
}

/** The folder itself must be there: it may be another disk, which is not mounted now. */
async function makeFolders(folder: string, directory: string): Promise<void> {
  await syncFolder(folder)
  const first = await mkdir(directory, { recursive: true })
  if (first === undefined) return
  for (let made = directory; made !== folder && made.startsWith(folder); made = dirname(made))
    await syncFolder(dirname(made))
}

async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

async function contentOf(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return null
    throw error
  }
}

const systemCode = (error: unknown): string =>
  error instanceof Error && 'code' in error ? String(error.code) : 'unknown reason'
