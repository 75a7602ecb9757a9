import { MAX_NOTE_BYTES } from '../domain/evidence/note.ts'
import { notePath } from '../domain/evidence/notePlace.ts'
import { LogNotTaken } from '../errors.ts'
import type { NotePlace, Placement } from '../ports.ts'
import { isOfOneObject, type ObjectStore } from '../s3/objectStore.ts'
import { judgeHeld, originOrConflict } from './held.ts'

/** A bucket with one object for each note, locked when the place says so. Objects are never written over. */
export function createBucketPlace(name: string, store: ObjectStore): NotePlace {
  const { prefix, lock } = store.place
  return {
    name,
    async place({ size, note }, { signal }) {
      const origin = originOrConflict(note)
      if (typeof origin !== 'string') return origin
      const key = prefix + notePath(origin, size)
      try {
        return await put(key, note, signal)
      } catch (error) {
        throw isOfOneObject(error) ? new LogNotTaken(error.message, { cause: error }) : error
      }
    },
    close: () => store.close(),
  }

  async function put(key: string, note: string, signal: AbortSignal): Promise<Placement> {
    const judged = async () => {
      const held = await store.get(key, MAX_NOTE_BYTES, signal)
      return held === null ? null : judgeHeld(note, held.toString('utf8'), `the object ${key}`)
    }
    const before = await judged()
    if (before !== null) return before
    // Again in the same step: somebody else may have put it there in between.
    const options = { signal, ifAbsent: true, ...(lock !== null && { lock }) }
    const answer = await store.put(key, Buffer.from(note, 'utf8'), options)
    if (answer === 'stored') return { outcome: 'held' }
    const after = await judged()
    if (after !== null) return after
    throw new LogNotTaken('the bucket refuses an object that it does not have')
  }
}
