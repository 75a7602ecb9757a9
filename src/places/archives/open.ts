import { type ArchivePlaceConfig, nameOfPlace } from '../../domain/archive/place.ts'
import type { ArchivePlace } from '../../ports.ts'
import { createObjectStore, type S3Credentials } from '../../s3/objectStore.ts'
import { createBucketArchives } from './bucket.ts'
import { createFolderArchives } from './folder.ts'

/** Opens nothing yet. */
export function openArchivePlace(
  config: ArchivePlaceConfig,
  credentials: S3Credentials | null,
): ArchivePlace {
  if (config.kind === 'folder') return createFolderArchives(config.path)
  return createBucketArchives(nameOfPlace(config), createObjectStore(config.place, credentials))
}
