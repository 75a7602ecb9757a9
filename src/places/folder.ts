import { constants } from 'node:fs'
import { access, link, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { MAX_NOTE_BYTES } from '../domain/evidence/note.ts'
import { notePath } from '../domain/evidence/notePlace.ts'
import { LogNotTaken, ServiceError } from '../errors.ts'
import type { NotePlace, Placement } from '../ports.ts'
import { createCallLimit } from './callLimit.ts'
import { draftIn, makeFolders, readBounded, syncFolder, systemCode, writeSynced } from './folders.ts'
import { judgeHeld, originOrConflict } from './held.ts'

/** Notes are for everybody to read. */
const modes = { file: 0o644, folder: 0o777 }

/** A disk behind a network may hang for ever, and each call with it: fewer than Node.js has threads for all disks. */
const CALLS_AT_ONCE = 2
const CALL_MS = 15_000

/**
 * A folder with one file for each note. A file appears whole or not at all, is on the disk before it counts, and is never
 * written over: one that says something else is a conflict.
 */
export function createFolderPlace(
  name: string,
  folder: string,
  { limitMs = CALL_MS }: { readonly limitMs?: number } = {},
): NotePlace {
  const calls = createCallLimit({ atOnce: CALLS_AT_ONCE, limitMs })
  return {
    name,
    async place({ size, note }, { signal }) {
      const origin = originOrConflict(note)
      if (typeof origin !== 'string') return origin
      try {
        return await calls.run(origin, signal, () => file(folder, notePath(origin, size), note))
      } catch (error) {
        throw error instanceof ServiceError ? error : await failureOf(folder, error)
      }
    },
    close: () => undefined,
  }
}

/** What the system says of one name, and not of a disk: no room under it, no right to it, another thing that has it. */
const ofOneName: ReadonlySet<string> = new Set([
  'EACCES',
  'EEXIST',
  'EILSEQ',
  'EINVAL',
  'EISDIR',
  'ELOOP',
  'EMLINK',
  'ENAMETOOLONG',
  'ENOTDIR',
  'EPERM',
])

/** About the log alone when the folder itself is there and can be written to. */
async function failureOf(folder: string, error: unknown): Promise<ServiceError> {
  const code = systemCode(error)
  const detail = `writing to the folder failed (${code})`
  if (ofOneName.has(code) && (await isUsable(folder))) return new LogNotTaken(detail, { cause: error })
  return new ServiceError('PLACE_UNAVAILABLE', detail, { cause: error })
}

async function isUsable(folder: string): Promise<boolean> {
  try {
    await syncFolder(folder)
    await access(folder, constants.W_OK | constants.X_OK)
    return true
  } catch {
    // What is wrong with it, the failure of the note says.
    return false
  }
}

async function file(folder: string, relative: string, note: string): Promise<Placement> {
  const path = join(folder, relative)
  const directory = dirname(path)
  const held = await heldAt(path, relative, note)
  if (held !== null) return held
  await makeFolders(folder, directory, modes)
  const draft = draftIn(directory)
  try {
    await writeSynced(draft, note, modes)
    // Unlike a rename, a link replaces nothing.
    await link(draft, path)
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error
    const other = await heldAt(path, relative, note)
    if (other === null) throw error
    return other
  } finally {
    await unlink(draft).catch((error: unknown) => {
      if (systemCode(error) !== 'ENOENT') throw error
    })
  }
  await syncFolder(directory)
  return { outcome: 'held' }
}

/** What is larger than any note says something else; what is no file, somebody may take away. */
async function heldAt(path: string, relative: string, note: string): Promise<Placement | null> {
  const found = await readBounded(path, MAX_NOTE_BYTES)
  if (found === 'none') return null
  const name = `the file ${relative}`
  if (found === 'no file') throw new LogNotTaken(`${name} is no file`)
  if (found === 'too large') return { outcome: 'conflict', detail: `${name} is too large for a note` }
  return judgeHeld(note, found.toString('utf8'), name)
}
