import { link, readFile, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { notePath } from '../domain/evidence/notePlace.ts'
import { ServiceError } from '../errors.ts'
import type { NotePlace, Placement } from '../ports.ts'
import { draftIn, makeFolders, syncFolder, systemCode, writeSynced } from './folders.ts'
import { judgeHeld, originOrConflict } from './held.ts'

/** Notes are for everybody to read. */
const modes = { file: 0o644, folder: 0o777 }

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
  await makeFolders(folder, directory, modes)
  const draft = draftIn(directory)
  try {
    await writeSynced(draft, note, modes)
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

async function contentOf(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return null
    throw error
  }
}
