/** Reads all archives of a place back, each for itself: one that is bad says nothing of the others. */
import { isArchiveId } from '../domain/archive/manifest.ts'
import type { PlaceVerification, VerifiedArchive } from '../domain/archive/placeVerification.ts'
import type { VerifierKey } from '../domain/evidence/noteKeys.ts'
import { ServiceError } from '../errors.ts'
import { findArchive } from './findArchive.ts'
import type { ArchiveReader } from './readArchive.ts'
import { verifyArchive } from './verifyWhole.ts'

/**
 * Folders that no UUID names are none of ours: they are passed over. `id`: only that archive. Throws ARCHIVE_NOT_FOUND when there
 * is none, and PLACE_UNAVAILABLE when the place itself is away.
 */
export async function verifyPlace(
  reader: ArchiveReader,
  id: string | null,
  keys: readonly VerifierKey[],
  say: (line: string) => void,
): Promise<PlaceVerification> {
  const { place, signal } = reader
  const names = id === null ? await place.folders(signal) : [id]
  const archives: VerifiedArchive[] = []
  const failed: PlaceVerification['failed'][number][] = []
  const unfinished: string[] = []
  for (const each of names.filter(isArchiveId)) {
    signal.throwIfAborted()
    try {
      const opened = await findArchive(reader, each, keys, say)
      if (opened === null) unfinished.push(each)
      else archives.push(await verifyArchive(reader, opened, keys, say))
    } catch (error) {
      if (!(error instanceof ServiceError) || signal.aborted) throw error
      // A file that cannot be read is that archive's trouble; a place that is away is not.
      if (error.code === 'PLACE_UNAVAILABLE') await place.folders(signal)
      failed.push({ id: each, code: error.code, detail: error.message })
      say(`${each} is bad: ${error.code}: ${error.message}`)
    }
  }
  if (archives.length + failed.length === 0)
    throw new ServiceError(
      'ARCHIVE_NOT_FOUND',
      `there is no finished archive ${id === null ? '' : `${id} `}in ${place.name}`,
    )
  const passedOver = names.filter((name) => !isArchiveId(name))
  return { archives, failed, unfinished, passedOver, remarks: place.remarks() }
}
