import type { ArchivePlace } from '../../ports.ts'
import type { ObjectStore } from '../../s3/objectStore.ts'

/** A bucket, below its prefix; objects are locked when the place says so. */
export function createBucketArchives(name: string, store: ObjectStore): ArchivePlace {
  const { prefix, lock } = store.place
  return {
    name,
    async put(path, content, signal) {
      await store.put(prefix + path, content, { signal, ...(lock !== null && { lock }) })
    },
    get: (path, maxBytes, signal) => store.get(prefix + path, maxBytes, signal),
    async folders(signal) {
      const found = new Set<string>()
      for await (const { key } of store.list(prefix, signal)) {
        const [folder, ...rest] = key.slice(prefix.length).split('/')
        if (folder !== undefined && rest.length > 0) found.add(folder)
      }
      return [...found].sort()
    },
    close: () => store.close(),
  }
}
