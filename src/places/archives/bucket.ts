import { NotGiven, ServiceError, TooLarge } from '../../errors.ts'
import type { ArchivePlace, PlacedVersion } from '../../ports.ts'
import { isOfOneObject, type ObjectStore, type ObjectVersion, VersionsRefused } from '../../s3/objectStore.ts'
import type { Remarks } from './remarks.ts'

/** Of one name: far more than anybody makes who means well. */
const MAX_VERSIONS = 100_000

/** An object can be there and be kept from whoever asks, by its encryption or its storage class. Throws NotGiven. */
const given = (reading: Promise<Buffer | null>): Promise<Buffer | null> =>
  reading.catch((error: unknown) => {
    if (error instanceof TooLarge || !isOfOneObject(error)) throw error
    throw new NotGiven(error.message, { cause: error })
  })

/**
 * A bucket, below its prefix; objects are locked when the place says so. Whoever may write there can put something newer over a
 * locked object, or a removal: so all versions are found.
 */
export function createBucketArchives(
  { name, address }: Pick<ArchivePlace, 'name' | 'address'>,
  store: ObjectStore,
  remarks: Remarks,
): ArchivePlace {
  const { prefix, lock } = store.place
  /** Nothing where the server does not show them. */
  async function* shown(under: string, signal: AbortSignal): AsyncGenerator<ObjectVersion> {
    try {
      yield* store.versions(under, signal)
    } catch (error) {
      if (!(error instanceof VersionsRefused)) throw error
      if (!error.hasNone)
        remarks.remark(`${name}: only the newest version of each file was looked at: ${error.message}`)
    }
  }
  return {
    ...{ name, address },
    ...remarks,
    async put(path, content, signal) {
      await store.put(prefix + path, content, { signal, ...(lock !== null && { lock }) })
    },
    get: (path, maxBytes, signal) => given(store.get(prefix + path, maxBytes, signal)),
    async versions(path, signal) {
      const found: PlacedVersion[] = []
      for await (const { key, versionId, bytes, isNewest } of shown(prefix + path, signal)) {
        // Names that go on come behind it.
        if (key !== prefix + path) break
        if (found.length === MAX_VERSIONS)
          throw new ServiceError('ARCHIVE_DAMAGED', `${path} has more than ${MAX_VERSIONS} versions`)
        found.push({
          ...{ id: versionId ?? 'without a name', bytes, isNewest },
          read: (maxBytes, until) => given(store.get(key, maxBytes, until, versionId ?? undefined)),
        })
      }
      return found
    },
    async folders(signal) {
      const found = new Set<string>()
      const add = (key: string): void => {
        const [folder, ...rest] = key.slice(prefix.length).split('/')
        if (folder !== undefined && rest.length > 0) found.add(folder)
      }
      for await (const { key } of shown(prefix, signal)) add(key)
      // A server that keeps no versions may show none at all.
      if (found.size === 0) for await (const { key } of store.list(prefix, signal)) add(key)
      return [...found].sort()
    },
    close: () => store.close(),
  }
}
