import type { VerifiedArchive } from '../domain/archive/placeVerification.ts'
import type { VerifierKey } from '../domain/evidence/noteKeys.ts'
import { hashToHex } from '../domain/hash.ts'
import {
  type ArchiveReader,
  claimsOfPart,
  concludePart,
  type OpenedArchive,
  startOfPart,
  verifyNextFile,
} from './readArchive.ts'

/** Reads every file of an archive. Throws ARCHIVE_DAMAGED, ROOT_MISMATCH, NOTE_REFUSED, PLACE_UNAVAILABLE. */
export async function verifyArchive(
  reader: ArchiveReader,
  { manifest, manifestHash }: OpenedArchive,
  keys: readonly VerifierKey[],
  say: (line: string) => void,
): Promise<VerifiedArchive> {
  for (const log of manifest.logs) {
    say(`reading ${log.origin}, leaves ${log.fromLeaf} to ${log.toLeaf}`)
    const claims = await claimsOfPart(reader, manifest.id, log, keys)
    let position = startOfPart(log)
    while (position.files < log.files.length)
      position = await verifyNextFile(reader, manifest, log, position, claims)
    concludePart(manifest.id, log, position, keys)
  }
  return {
    id: manifest.id,
    manifestHash: hashToHex(manifestHash),
    createdAt: new Date(manifest.createdAt).toISOString(),
    logs: manifest.logs.map(({ origin, fromLeaf, toLeaf, rootHash, files, note }) => ({
      ...{ origin, fromLeaf, toLeaf, rootHash, files: files.length, signed: note !== null },
    })),
  }
}
