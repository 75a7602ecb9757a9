/** What manifests say that no leaf proves: notes, which prove themselves, and keys, holds and producers, which are their word. */
import type { Manifest } from '../domain/archive/manifest.ts'
import type { FoundArchive } from './chain.ts'
import type { HeldNote } from './notesHeld.ts'
import { nameOfManifest } from './readArchive.ts'

/** The newest signed checkpoints, which often cover more leaves than their archive holds. */
export const notesIn = (archives: readonly FoundArchive[]): readonly HeldNote[] =>
  archives.flatMap(({ manifest: { id, logs } }) =>
    logs.flatMap(({ note }) =>
      note === null ? [] : [{ name: nameOfManifest(id), text: note, isArchived: true }],
    ),
  )

export type RestOfDatabase = Pick<Manifest, 'keys' | 'holds' | 'producers'>

/**
 * Of each key, subject and source what the newest archive says that knows it: one that leaves something out, or was made to,
 * takes nothing away.
 */
export function restIn(archives: readonly FoundArchive[]): RestOfDatabase {
  const keys = new Map<string, Manifest['keys'][number]>()
  const holds = new Map<string, Manifest['holds'][number]>()
  const producers = new Map<string, Manifest['producers'][number]>()
  const oldestFirst = archives.map(({ manifest }) => manifest).sort((a, b) => a.createdAt - b.createdAt)
  for (const manifest of oldestFirst) {
    for (const key of manifest.keys) keys.set(key.key, key)
    for (const hold of manifest.holds) {
      const subject = `${hold.scope} ${hold.subject}`
      if (hold.since >= (holds.get(subject)?.since ?? hold.since)) holds.set(subject, hold)
    }
    for (const producer of manifest.producers) producers.set(producer.source, producer)
  }
  return { keys: [...keys.values()], holds: [...holds.values()], producers: [...producers.values()] }
}
