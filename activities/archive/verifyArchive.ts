/** Reads an archive back from its place, and writes down how it ended. */
import {
  claimsOfPart,
  concludePart,
  type PartPosition,
  reopenArchive,
  startOfPart,
  verifyNextFile,
} from '../../src/archive/readArchive.ts'
import { viewOfArchive } from '../../src/archive/viewOfArchive.ts'
import type { ArchiveView } from '../../src/domain/archive/view.ts'
import { hashFromHex, hashToHex } from '../../src/domain/hash.ts'
import { ServiceError } from '../../src/errors.ts'
import type { FinishArchiveInput, VerifyArchiveInput, VerifyArchiveResult } from '../contract.ts'
import type { ActivityDependencies, ActivityScope } from '../dependencies.ts'
import { loadPart } from './archiveSlice.ts'
import { placeOf } from './planArchive.ts'

/**
 * Verifies files of one log for `sliceMs`, or to the end: hashes, leaves, roots, signed notes. A second attempt goes on from
 * what the one before reported. Throws ARCHIVE_DAMAGED, ROOT_MISMATCH, NOTE_REFUSED, PLACE_UNAVAILABLE,
 * ARCHIVE_PLACE_DIFFERS.
 */
export async function verifyArchiveSlice(
  deps: ActivityDependencies,
  scope: ActivityScope,
  { archiveId, logId, manifestHash, position }: VerifyArchiveInput,
  reopen: typeof reopenArchive = reopenArchive,
): Promise<VerifyArchiveResult> {
  const deadlineMs = deps.now() + deps.settings.sliceMs
  const { archive, part, origin } = await loadPart(deps, archiveId, logId)
  const place = placeOf(deps, archive)
  const reader = { place, codec: deps.archiveCodec, signal: scope.signal }
  const { manifest } = await reopen(reader, archiveId, hashFromHex(manifestHash))
  const log = manifest.logs.find((each) => each.origin === origin)
  const planned = `${part.fromLeaf} ${part.toLeaf} ${hashToHex(part.rootHash)}`
  if (log === undefined || `${log.fromLeaf} ${log.toLeaf} ${log.rootHash}` !== planned)
    throw new ServiceError('ARCHIVE_DAMAGED', `${archiveId} does not hold what was planned of ${origin}`)
  const keys = (await deps.signingKeys.keyState()).periods.map(({ key }) => key)
  const claims = await claimsOfPart(reader, archiveId, log, keys)
  let now = reportedPosition(scope.reported) ?? position ?? startOfPart(log)
  while (now.files < log.files.length) {
    if (scope.signal.aborted || deps.now() >= deadlineMs) return { position: now, done: false }
    now = await verifyNextFile(reader, manifest, log, now, claims)
    scope.report({ position: now })
  }
  concludePart(archiveId, log, now, keys)
  return { position: now, done: true }
}

/** Nobody else writes heartbeats of this activity. */
function reportedPosition(reported: unknown): PartPosition | null {
  if (typeof reported !== 'object' || reported === null || !('position' in reported)) return null
  return reported.position as PartPosition
}

/** An end that is there already stays. Throws ARCHIVE_NOT_FOUND. */
export async function finishArchive(
  { archives, logger }: Pick<ActivityDependencies, 'archives' | 'logger'>,
  { archiveId, status, manifestHash, error }: FinishArchiveInput,
): Promise<ArchiveView> {
  if ((await archives.getArchive(archiveId)) === null)
    throw new ServiceError('ARCHIVE_NOT_FOUND', `there is no archive ${archiveId}`)
  if (status === 'verified' && manifestHash !== undefined)
    await archives.insertResult(archiveId, { status, manifestHash: hashFromHex(manifestHash) })
  else {
    const { code, detail } = error ?? { code: 'INTERNAL', detail: 'it ended without a result' }
    await archives.insertResult(archiveId, {
      ...{ status: status === 'cancelled' ? 'cancelled' : 'failed', code, detail },
    })
    logger.error('an archive was not finished', { archiveId, code, detail })
  }
  const record = await archives.getArchive(archiveId)
  if (record === null) throw new ServiceError('ARCHIVE_NOT_FOUND', `there is no archive ${archiveId}`)
  return viewOfArchive(record)
}
