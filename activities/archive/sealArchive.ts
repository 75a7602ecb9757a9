/** The end of writing: checkpoints beside the leaves, and the manifest over all of it. */
import { FILE_LINES, putLines } from '../../src/archive/files.ts'
import { type ArchivedCheckpoint, formatCheckpointLine } from '../../src/domain/archive/checkpointLine.ts'
import {
  formatManifest,
  MANIFEST_FORMAT,
  MANIFEST_NAME,
  type Manifest,
  type ManifestFile,
  type ManifestLog,
} from '../../src/domain/archive/manifest.ts'
import { hashToBase64 } from '../../src/domain/evidence/checkpointNote.ts'
import { hashToHex, sha256 } from '../../src/domain/hash.ts'
import { frontierToBase64, rootOf } from '../../src/domain/merkle.ts'
import { leafIndex } from '../../src/domain/model.ts'
import { ServiceError } from '../../src/errors.ts'
import type { ArchivedFile, ArchivePlace, ArchiveRecord, ProducerSource } from '../../src/ports.ts'
import type { SealArchiveInput, SealedArchive } from '../contract.ts'
import type { ActivityDependencies, ActivityScope } from '../dependencies.ts'
import { instanceOf, type LoadedPart, type PlannedPart, partOf } from './archiveSlice.ts'
import { placeOf } from './planArchive.ts'

const CHECKPOINTS_AT_ONCE = 1_000
const SOURCES_AT_ONCE = 500

/** Can be repeated: the manifest is written anew. Throws ARCHIVE_NOT_FOUND, LOG_DAMAGED, PLACE_UNAVAILABLE, ARCHIVE_PLACE_DIFFERS. */
export async function sealArchive(
  deps: ActivityDependencies,
  scope: ActivityScope,
  { archiveId, checkpointId }: SealArchiveInput,
): Promise<SealedArchive> {
  const archive = await deps.archives.getArchive(archiveId)
  if (archive === null) throw new ServiceError('ARCHIVE_NOT_FOUND', `there is no archive ${archiveId}`)
  const place = placeOf(deps, archive)
  const logs: ManifestLog[] = []
  const instance = await instanceOf(deps)
  for (const part of archive.logs) {
    const loaded = partOf(archive, part, instance)
    await writeCheckpoints(deps, scope, place, loaded, checkpointId)
    logs.push(await describeLog(deps, loaded))
    scope.report({ described: logs.length })
  }
  const text = formatManifest(await manifestOf(deps, archive, logs))
  const content = Buffer.from(text, 'utf8')
  await place.put(`${archiveId}/${MANIFEST_NAME}`, content, scope.signal)
  return { manifestHash: hashToHex(sha256(content)) }
}

/**
 * All checkpoints over leaves up to the part's end: a later archive has those again that were made later over earlier leaves.
 * Only what was there when the archive was planned, so that another attempt makes the same files.
 */
async function writeCheckpoints(
  { archives, archiveCodec }: ActivityDependencies,
  { signal }: ActivityScope,
  place: ArchivePlace,
  { archive, part }: LoadedPart,
  checkpointId: string | null,
): Promise<void> {
  const range = { upTo: part.toLeaf, sequence: archive.checkpointSequence, id: checkpointId }
  let waiting: ArchivedCheckpoint[] = []
  let ordinal = 0
  const put = async (): Promise<void> => {
    const numbers = { from: BigInt(ordinal), to: BigInt(ordinal + 1) }
    const target = { archiveId: archive.id, log: part, kind: 'checkpoints', ...numbers } as const
    const file = await putLines(place, archiveCodec, target, waiting.map(formatCheckpointLine), signal)
    const { fromLeaf, toLeaf, fromOffset, toOffset } = part
    const lines = waiting.length
    await archives.insertFile(archive.id, part.logId, {
      ...file,
      ...{ kind: 'checkpoints', ordinal, lines, fromLeaf, toLeaf, fromOffset, toOffset },
    })
    ordinal++
    waiting = []
  }
  for (let after: { size: bigint; id: string } | null = null; ; ) {
    const page = await archives.checkpointsOf(part.logId, range, after, CHECKPOINTS_AT_ONCE)
    const last = page.at(-1)
    if (last === undefined) break
    waiting.push(...page)
    after = { size: BigInt(last.position.size), id: last.id }
    if (waiting.length + CHECKPOINTS_AT_ONCE > FILE_LINES) await put()
  }
  if (waiting.length > 0) await put()
}

async function describeLog(deps: ActivityDependencies, loaded: LoadedPart): Promise<ManifestLog> {
  const { archive, part, origin, instance } = loaded
  const { archives, log } = deps
  const { logId, identity, incarnation } = part
  const state = await log.logById(logId)
  if (state === null) throw new ServiceError('UNKNOWN_PARTITION', `there is no log ${logId}`)
  const before = await archives.frontierAt(logId, part.fromLeaf)
  const files = await archives.filesOf(archive.id, logId, 'leaves')
  const checkpoints = await archives.filesOf(archive.id, logId, 'checkpoints')
  return {
    ...{ origin, instance, ...identity, incarnation },
    startOffset: String(state.startOffset),
    leaderEpoch: state.leaderEpoch,
    createdAt: await archives.logCreatedAt(logId),
    ...rangeText(part),
    frontier: frontierToBase64(before),
    rootHashBefore: hashToHex(rootOf(before, part.fromLeaf)),
    rootHash: hashToHex(part.rootHash),
    ...(await proofOf(deps, part)),
    files: files.map((file) => ({ ...fileText(file), ...rangeText(file) })),
    checkpoints: checkpoints.map(fileText),
  }
}

const rangeText = ({ fromLeaf, toLeaf, fromOffset, toOffset }: PlannedPart | ArchivedFile) => ({
  fromLeaf: String(fromLeaf),
  toLeaf: String(toLeaf),
  fromOffset: String(fromOffset),
  toOffset: String(toOffset),
})

const fileText = ({ name, bytes, sha256: hash, unpackedBytes, lines }: ArchivedFile): ManifestFile => ({
  ...{ name, bytes, unpackedBytes, lines },
  sha256: hashToHex(hash),
})

/** The newest signed note over the part's end; none where nobody signs. */
async function proofOf(
  { checkpoints, log }: ActivityDependencies,
  { logId, toLeaf }: PlannedPart,
): Promise<Pick<ManifestLog, 'note' | 'consistency'>> {
  const covering = await checkpoints.newestCovering(logId, leafIndex(toLeaf - 1n))
  if (covering === null) return { note: null, consistency: [] }
  const hashes = await log.consistencyProof(logId, toLeaf, covering.size)
  return { note: covering.note, consistency: hashes.map(hashToBase64) }
}

async function manifestOf(
  deps: ActivityDependencies,
  { id, createdAt, createdBy, request }: ArchiveRecord,
  logs: readonly ManifestLog[],
): Promise<Manifest> {
  const { periods } = await deps.signingKeys.keyState()
  const holds = await deps.holds.listHolds()
  return {
    ...{ format: MANIFEST_FORMAT, id, createdBy, request: request as Manifest['request'] },
    createdAt: createdAt.getTime(),
    schema: await deps.archives.schemaVersion(),
    keys: periods.map(({ key, fromMs, untilMs }) => ({
      ...{ key: key.text, signsFrom: fromMs, signsUntil: untilMs },
    })),
    producers: (await allSources(deps)).map(({ source, policy, keys }) => ({
      ...{ source, policy },
      keys: keys.map(({ key, validFrom, validUntil }) => ({
        key: key.text,
        validFrom: validFrom.getTime(),
        validUntil: validUntil?.getTime() ?? null,
      })),
    })),
    holds: holds.map(({ since, ...hold }) => ({ ...hold, since: Date.parse(since) })),
    logs: [...logs],
  }
}

async function allSources({ producers }: ActivityDependencies): Promise<readonly ProducerSource[]> {
  const all: ProducerSource[] = []
  for (;;) {
    const after = all.at(-1)?.source
    const page = await producers.listSources({
      ...(after !== undefined && { after }),
      limit: SOURCES_AT_ONCE,
    })
    all.push(...page)
    if (page.length < SOURCES_AT_ONCE) return all
  }
}
