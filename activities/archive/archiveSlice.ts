/** Writes leaves of one log into files for some seconds. What is written, the database knows: a slice goes on behind it. */
import { FILE_BYTES, FILE_LINES, putLines } from '../../src/archive/files.ts'
import { type LeafLine, leafLines } from '../../src/archive/leafLines.ts'
import { formatOrigin, nameOf } from '../../src/domain/evidence/origin.ts'
import { type LeafIndex, type LogId, leafIndex, type Offset, offset } from '../../src/domain/model.ts'
import { ServiceError } from '../../src/errors.ts'
import type { ArchiveRecord, LeafRange } from '../../src/ports.ts'
import type { ArchiveLogInput, ArchiveSliceResult } from '../contract.ts'
import type { ActivityDependencies, ActivityScope } from '../dependencies.ts'
import { placeOf } from './planArchive.ts'

export type PlannedPart = ArchiveRecord['logs'][number]

export interface LoadedPart {
  readonly archive: ArchiveRecord
  readonly part: PlannedPart
  readonly origin: string
  readonly instance: string
}

/** Throws ARCHIVE_NOT_FOUND, UNKNOWN_PARTITION. */
export async function loadPart(
  deps: Pick<ActivityDependencies, 'archives' | 'signingKeys' | 'instanceName'>,
  archiveId: string,
  logId: number,
): Promise<LoadedPart> {
  const archive = await deps.archives.getArchive(archiveId)
  if (archive === null) throw new ServiceError('ARCHIVE_NOT_FOUND', `there is no archive ${archiveId}`)
  const part = archive.logs.find((log) => log.logId === logId)
  if (part === undefined)
    throw new ServiceError('UNKNOWN_PARTITION', `the archive ${archiveId} is not of the log ${logId}`)
  return partOf(archive, part, await instanceOf(deps))
}

export const partOf = (archive: ArchiveRecord, part: PlannedPart, instance: string): LoadedPart => ({
  ...{ archive, part, instance, origin: formatOrigin({ instance, ...nameOf(part) }) },
})

/** As checkpoints name it. */
export const instanceOf = async ({
  signingKeys,
  instanceName,
}: Pick<ActivityDependencies, 'signingKeys' | 'instanceName'>): Promise<string> =>
  (await signingKeys.keyState()).periods[0]?.key.name ?? instanceName

/**
 * Goes on behind the last file that is noted, for `sliceMs` or to the end. A file that was put and not noted is put again,
 * with the same bytes under the same name. Throws LOG_DAMAGED, DETACHED, PLACE_UNAVAILABLE, ARCHIVE_PLACE_DIFFERS.
 */
export async function archiveSlice(
  deps: ActivityDependencies,
  scope: ActivityScope,
  { archiveId, logId }: ArchiveLogInput,
): Promise<ArchiveSliceResult> {
  const deadlineMs = deps.now() + deps.settings.sliceMs
  const { archive, part, origin } = await loadPart(deps, archiveId, logId)
  const place = placeOf(deps, archive)
  const last = await deps.archives.lastFile(archiveId, part.logId, 'leaves')
  let ordinal = last === null ? 0 : last.ordinal + 1
  let leaf: LeafIndex = last?.toLeaf ?? part.fromLeaf
  let at: Offset = last?.toOffset ?? part.fromOffset
  const result = (): ArchiveSliceResult => ({ written: String(leaf), done: leaf >= part.toLeaf })
  if (result().done) return result()

  let lines: string[] = []
  let bytes = 0
  let end = at
  const put = async (): Promise<void> => {
    const to = leafIndex(leaf + BigInt(lines.length))
    // The last file reaches to the end of the range, over offsets that hold nothing.
    const toOffset = to === part.toLeaf ? part.toOffset : end
    const target = { archiveId, log: part, kind: 'leaves', from: leaf, to } as const
    const file = await putLines(place, deps.archiveCodec, target, lines, scope.signal)
    await deps.archives.insertFile(archiveId, part.logId, {
      ...file,
      ...{ kind: 'leaves', ordinal, lines: lines.length },
      ...{ fromLeaf: leaf, toLeaf: to, fromOffset: at, toOffset },
    })
    ordinal++
    leaf = to
    at = toOffset
    lines = []
    bytes = 0
    scope.report({ written: String(leaf) })
  }
  const rest = { fromLeaf: leaf, toLeaf: part.toLeaf, fromOffset: at, toOffset: part.toOffset }
  for await (const page of stillThere(deps, part.logId, rest, origin)) {
    for (const { line, end: behind } of page) {
      lines.push(line)
      bytes += line.length + 1
      end = offset(behind)
      if (bytes >= FILE_BYTES || lines.length === FILE_LINES) await put()
    }
    if (scope.signal.aborted || (lines.length === 0 && deps.now() >= deadlineMs)) return result()
    if (deps.now() >= deadlineMs && leaf > (last?.toLeaf ?? part.fromLeaf)) return result()
  }
  if (lines.length > 0) await put()
  return result()
}

/** Pages of leaves; what lacks because a day was detached meanwhile is no damage, and says so. */
async function* stillThere(
  { audit, archives }: Pick<ActivityDependencies, 'audit' | 'archives'>,
  logId: LogId,
  range: LeafRange,
  origin: string,
): AsyncGenerator<readonly LeafLine[]> {
  try {
    yield* leafLines(audit, { logId, origin }, range)
  } catch (error) {
    if (!(error instanceof ServiceError) || error.code !== 'LOG_DAMAGED') throw error
    throw (await archives.detachedIn(logId, range)) ?? error
  }
}
