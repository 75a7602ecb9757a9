import { type ArchivePlaceConfig, addressOfPlace, nameOfPlace } from '../../domain/archive/place.ts'
import type { ArchivePlace } from '../../ports.ts'
import { createObjectStore, type S3Credentials } from '../../s3/objectStore.ts'
import { createBucketArchives } from './bucket.ts'
import { createFolderArchives } from './folder.ts'
import { createRemarks } from './remarks.ts'

/** Opens nothing yet. `told` hears of what is found hidden there. */
export function openArchivePlace(
  config: ArchivePlaceConfig,
  credentials: S3Credentials | null,
  told: (text: string) => void = () => undefined,
): ArchivePlace {
  if (config.kind === 'folder') return createFolderArchives(config.path)
  const store = createObjectStore(config.place, credentials)
  const named = { name: nameOfPlace(config), address: addressOfPlace(config) }
  return createBucketArchives(named, store, createRemarks(told))
}
