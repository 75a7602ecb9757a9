/** The beginning of an archive, written down: which leaves of which logs it is to hold. */

import { isPlaceOf } from '../../src/domain/archive/place.ts'
import type { ArchiveRequest } from '../../src/domain/archive/request.ts'
import { rootOf } from '../../src/domain/merkle.ts'
import { leafIndex } from '../../src/domain/model.ts'
import { ServiceError } from '../../src/errors.ts'
import type {
  ArchivedLog,
  ArchivePlace,
  ArchiveRecord,
  ArchiveStore,
  LeafRange,
  LogState,
  QueryStore,
} from '../../src/ports.ts'
import type { PlanArchiveInput, PlannedArchive } from '../contract.ts'
import type { ActivityDependencies } from '../dependencies.ts'
import { logsOfRequest } from '../logsOfRequest.ts'
import { refuse } from '../ranges.ts'

export interface RangeDependencies {
  readonly logs: Pick<QueryStore, 'allLogs'>
  readonly archives: Pick<ArchiveStore, 'leavesBetween' | 'leavesLeft' | 'leavesOf'>
}

export interface WantedPart {
  readonly log: LogState
  readonly range: LeafRange
}

/**
 * The parts of logs that a request means, as they stand now; logs without a leaf in the range are left out. Reads only. Throws
 * UNKNOWN_TOPIC, UNKNOWN_PARTITION, RANGE_EMPTY, OFFSET_NOT_INGESTED for leaves that are not there yet; DETACHED when some of an
 * asked-for range went away with a detached day. Without a range it is all that is still there.
 */
export async function partsToArchive(
  { logs, archives }: RangeDependencies,
  request: ArchiveRequest,
): Promise<readonly WantedPart[]> {
  const { from, fromLeaf, toLeaf } = request
  const placeOf = ({ identity, incarnation }: LogState) => ({ ...identity, incarnation })
  const found = logsOfRequest(await logs.allLogs(), placeOf, request)
  requireLeaves(found, toLeaf)
  const parts: WantedPart[] = []
  for (const log of found) {
    const range = await rangeOf(archives, request, log)
    if (range.fromLeaf < range.toLeaf) parts.push({ log, range })
  }
  if (parts.length === 0) {
    const path =
      fromLeaf !== undefined || toLeaf !== undefined ? 'fromLeaf' : from === undefined ? 'topic' : 'from'
    throw refuse('RANGE_EMPTY', path, `nothing of ${request.topic} lies in the range`)
  }
  return parts
}

/** An archive of fewer leaves than were asked for would be taken for the whole. Incarnations have as many as they have. */
function requireLeaves(logs: readonly LogState[], toLeaf: string | undefined): void {
  if (toLeaf === undefined || logs.some(({ position }) => position.size >= BigInt(toLeaf))) return
  const sizes = logs.map(({ position }) => String(position.size)).join(', ')
  throw refuse('OFFSET_NOT_INGESTED', 'toLeaf', `there are ${sizes} leaves, not yet ${toLeaf}`)
}

async function rangeOf(
  archives: RangeDependencies['archives'],
  { from, to, fromLeaf, toLeaf }: ArchiveRequest,
  { logId, position }: LogState,
): Promise<LeafRange> {
  if (fromLeaf !== undefined || toLeaf !== undefined) {
    const end = toLeaf === undefined ? position.size : leafIndex(BigInt(toLeaf))
    return await archives.leavesOf(logId, leafIndex(BigInt(fromLeaf ?? 0)), end)
  }
  if (from === undefined && to === undefined) return await archives.leavesLeft(logId)
  return await archives.leavesBetween(logId, msOf(from), msOf(to))
}

const msOf = (text: string | undefined): number | null => (text === undefined ? null : Date.parse(text))

/** Throws ARCHIVE_PLACE_MISSING. */
export function requirePlace({ place }: { readonly place: ArchivePlace | null }): ArchivePlace {
  if (place !== null) return place
  throw new ServiceError(
    'ARCHIVE_PLACE_MISSING',
    'No place for archives is configured: set ARCHIVE_PLACE for workers and API',
  )
}

/**
 * This worker's place, when it is the archive's: parts of one archive in two places would be no archive. It may be the wrong
 * worker, or the setting was changed meanwhile. Throws ARCHIVE_PLACE_DIFFERS, which is tried again: another worker may have the
 * right one, and where none has, nothing is lost until somebody sets it right or cancels the archive.
 */
export function placeOf(
  { archivePlace }: Pick<ActivityDependencies, 'archivePlace'>,
  { id, place: recorded }: Pick<ArchiveRecord, 'id' | 'place'>,
): ArchivePlace {
  if (archivePlace !== null && isPlaceOf(recorded, archivePlace.address)) return archivePlace
  const own = archivePlace === null ? 'not set' : archivePlace.address
  throw new ServiceError(
    'ARCHIVE_PLACE_DIFFERS',
    `the archive ${id} is at ${recorded}, and ARCHIVE_PLACE of this worker is ${own}: set it right, or cancel the archive and make another one`,
  )
}

/**
 * Can be repeated: what is stored under the id stays. Throws ARCHIVE_NOT_FOUND for one that goes on, what `partsToArchive`,
 * `requirePlace` and, for a stored one, `placeOf` throw.
 */
export async function planArchive(
  deps: ActivityDependencies,
  { archiveId, workflowId, request, requestedBy, goesOn }: PlanArchiveInput,
): Promise<PlannedArchive> {
  const known = await deps.archives.getArchive(archiveId)
  if (known === null && goesOn === true)
    throw new ServiceError(
      'ARCHIVE_NOT_FOUND',
      `the archive ${archiveId} is not in this database: it was begun in another one. Make a new one`,
    )
  const stored = known ?? (await plan(deps, requirePlace({ place: deps.archivePlace })))
  if (stored.workflowId !== workflowId)
    throw new ServiceError('BAD_REQUEST', `workflowId: the archive ${archiveId} is another workflow's`)
  placeOf(deps, stored)
  return {
    concurrency: deps.settings.concurrency,
    uncovered: await hasUncovered(deps, stored),
    logs: stored.logs.map((log) => ({
      logId: log.logId,
      name: nameOf(log),
      fromLeaf: String(log.fromLeaf),
      toLeaf: String(log.toLeaf),
    })),
  }

  async function plan(
    { archives, logs }: ActivityDependencies,
    { address }: ArchivePlace,
  ): Promise<ArchiveRecord> {
    const parts = await partsToArchive({ archives, logs }, request)
    const planned: ArchivedLog[] = []
    for (const { log, range } of parts) {
      const frontier = await archives.frontierAt(log.logId, range.toLeaf)
      planned.push({ logId: log.logId, ...range, rootHash: rootOf(frontier, range.toLeaf) })
    }
    return await archives.insertArchive({
      ...{ id: archiveId, workflowId, request, place: address, createdBy: requestedBy },
      logs: planned,
    })
  }
}

/** Whether a checkpoint made now would be the first signed one over the end of a part. Only newest incarnations get one. */
async function hasUncovered(deps: ActivityDependencies, archive: ArchiveRecord): Promise<boolean> {
  if (deps.signing.keys.length === 0) return false
  const newest = new Map<string, number>()
  for (const topic of new Set(archive.logs.map(({ identity }) => identity.topic)))
    for (const { identity, incarnation } of await deps.log.logsOf(topic))
      newest.set(`${topic}/${identity.partition}`, incarnation)
  for (const { logId, toLeaf, identity, incarnation } of archive.logs) {
    if (newest.get(`${identity.topic}/${identity.partition}`) !== incarnation) continue
    if ((await deps.checkpoints.newestCovering(logId, leafIndex(toLeaf - 1n))) === null) return true
  }
  return false
}

/** Of names for people: there may be thousands in the history, and a topic's may have 249 characters. */
const MAX_SHOWN_TOPIC = 60

export function nameOf({ identity, incarnation }: ArchiveRecord['logs'][number]): string {
  const { topic, partition } = identity
  const shown = topic.length > MAX_SHOWN_TOPIC ? `${topic.slice(0, MAX_SHOWN_TOPIC)}…` : topic
  return incarnation === 1 ? `${shown}/${partition}` : `${shown}/${partition}, incarnation ${incarnation}`
}
