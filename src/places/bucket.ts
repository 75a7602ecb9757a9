import { MAX_NOTE_BYTES } from '../domain/evidence/note.ts'
import { notePath } from '../domain/evidence/notePlace.ts'
import { ServiceError } from '../errors.ts'
import type { NotePlace } from '../ports.ts'
import type { ObjectStore } from '../s3/objectStore.ts'
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
      const judged = async () => {
        const held = await store.get(key, MAX_NOTE_BYTES, signal)
        return held === null ? null : judgeHeld(note, held.toString('utf8'), `the object ${key}`)
      }
      const before = await judged()
      if (before !== null) return before
      // Again in the same step: somebody else may have put it there in between.
      const options = { signal, ifAbsent: true, ...(lock !== null && { lock }) }
      const put = await store.put(key, Buffer.from(note, 'utf8'), options)
      if (put === 'stored') return { outcome: 'held' }
      const after = await judged()
      if (after !== null) return after
      throw new ServiceError('PLACE_UNAVAILABLE', 'the bucket refuses an object that it does not have')
    },
    close: () => store.close(),
  }
}
