/** The audit of a database against notes held elsewhere, put together: it needs the database and no service. */
import { verifySlice } from '../../activities/verification/verifyLogSlice.ts'
import { createHeldLeaves } from '../archive/heldLeaves.ts'
import type { ArchivePlaceConfig } from '../domain/archive/place.ts'
import { createDecoder } from '../domain/decode.ts'
import type { AuditReport } from '../domain/evidence/auditReport.ts'
import type { VerifierKey } from '../domain/evidence/noteKeys.ts'
import type { NotePlaceConfig } from '../domain/evidence/notePlace.ts'
import { isDamaged } from '../domain/verification/finding.ts'
import type { Progress } from '../domain/verification/progress.ts'
import { ServiceError } from '../errors.ts'
import {
  type AuditOptions,
  auditNotes,
  type DerivedLog,
  type HeldLog,
  type HeldNote,
} from '../evidence/auditNotes.ts'
import { createRecordDecoder } from '../ingest/decoder.ts'
import { createKafkaConnection, type KafkaConnectionConfig } from '../kafka/connection.ts'
import { createTargetReader } from '../kafka/target-reader.ts'
import { createTopicDirectory } from '../kafka/topic-directory.ts'
import { zstdCodec } from '../places/archives/codec.ts'
import { openArchivePlace } from '../places/archives/open.ts'
import { heldNotes, notesOfFolder } from '../places/heldNotes.ts'
import type { ArchivePlace, LogState } from '../ports.ts'
import type { S3Credentials } from '../s3/objectStore.ts'
import { createDatabase } from '../store/database.ts'
import { createStore, type Store } from '../store/store.ts'

/** Where notes are read: a folder or file by its path, or a place as in NOTE_PLACES. */
export type NoteSource =
  | { readonly kind: 'path'; readonly path: string }
  | { readonly kind: 'place'; readonly place: NotePlaceConfig }

export interface AuditRequest extends AuditOptions {
  readonly databaseUrl: string
  readonly sources: readonly NoteSource[]
  /** Where archives are read back that must hold what is detached; none: nobody looks. */
  readonly archives: readonly ArchivePlaceConfig[]
  readonly signal: AbortSignal
}

/** What only some sources need. */
export interface AuditSettings {
  readonly s3Credentials: S3Credentials | null
  readonly kafka: Omit<KafkaConnectionConfig, 'log'>
}

/** Reads, and changes nothing. Throws ServiceError. */
export async function runAudit(request: AuditRequest, settings: AuditSettings): Promise<AuditReport> {
  const database = createDatabase({ url: request.databaseUrl, maxAppenders: 1, maxReaders: 4 })
  const store = createStore(database)
  const { reader, queries, notes, signingKeys } = store
  const derive = async ({ logId }: { readonly logId: number }) =>
    derived(await verifyWhole(store, logId, request))
  const places = request.archives.map((place) => openArchivePlace(place, settings.s3Credentials))
  try {
    const keys = await keysOf(store, request)
    const held = places.length === 0 ? null : heldIn(store, places, keys, request)
    const deps = { reader, logs: queries, notes, signingKeys, derive, held }
    const options = { ...request, places: request.sources.map(nameOf) }
    const report = await auditNotes(deps, notesOf(request, settings), options)
    for (const remark of places.flatMap((place) => place.remarks())) request.onProgress(`REMARK: ${remark}`)
    return report
  } finally {
    for (const place of places) place.close()
    await database.close()
  }
}

/** As the notes are checked. */
async function keysOf({ signingKeys }: Store, { keys }: AuditRequest): Promise<readonly VerifierKey[]> {
  return keys.length > 0 ? keys : (await signingKeys.keyState()).periods.map(({ key }) => key)
}

/** Reads the archives back that the database names, and finds out whether they hold what is detached. */
function heldIn(
  { audit, reader }: Store,
  places: readonly ArchivePlace[],
  keys: readonly VerifierKey[],
  { signal, onProgress }: AuditRequest,
): (log: LogState, origin: string) => Promise<HeldLog> {
  const readers = places.map((place) => ({ place, codec: zstdCodec, signal }))
  const look = createHeldLeaves({ readers, keys, say: onProgress })
  return async ({ logId }, origin) => {
    const named = await audit.archivesOfGone(logId)
    const { parts, problems } = await look(origin, named, async (size) => {
      try {
        return await reader.rootAt(logId, size)
      } catch (error) {
        if (error instanceof ServiceError && noRoot.has(error.code)) return null
        throw error
      }
    })
    const { gone, outside, first } = await audit.goneOutside(logId, parts)
    if (outside === 0n) return { detached: gone, lacking: null }
    const why = problems.length === 0 ? '' : `: ${problems.slice(0, MAX_PROBLEMS).join('; ')}`
    return {
      detached: gone,
      lacking: `of ${gone} detached leaves, no archive that was read holds ${outside}, the first of them leaf ${first}${why}`,
    }
  }
}

const MAX_PROBLEMS = 5
/** With which a log says that it has no root at a size: other findings say why. */
const noRoot: ReadonlySet<string> = new Set(['DETACHED', 'LOG_DAMAGED', 'OFFSET_NOT_INGESTED'])

/** All notes of all sources, in no order. Throws PLACE_UNAVAILABLE, BAD_REQUEST for a witness. */
export async function* notesOf(
  { sources, signal }: Pick<AuditRequest, 'sources' | 'signal'>,
  settings: AuditSettings,
): AsyncGenerator<HeldNote> {
  const { s3Credentials } = settings
  const kafka = () => {
    const quiet = { debug: () => undefined, warn: () => undefined }
    const connection = createKafkaConnection({ ...settings.kafka, log: quiet })
    const directory = createTopicDirectory(connection)
    return { directory, reader: createTargetReader(connection), close: () => directory.close() }
  }
  for (const source of sources) {
    const place = nameOf(source)
    const notes =
      source.kind === 'path'
        ? notesOfFolder(source.path, signal)
        : heldNotes(source.place, { s3Credentials, kafka }, signal)
    for await (const note of notes) yield { ...note, place }
  }
}

const nameOf = (source: NoteSource): string => (source.kind === 'path' ? source.path : source.place.name)

const LINE_EVERY_MS = 2_000

async function verifyWhole(
  { audit }: Store,
  id: number,
  { signal, onProgress }: AuditRequest,
): Promise<Progress> {
  const maxValueBytes = Number.MAX_SAFE_INTEGER
  const deps = {
    audit,
    verdict: createRecordDecoder(createDecoder({ maxValueBytes, fastPath: true })),
    observer: { leavesVerified: () => undefined },
    now: Date.now,
  }
  let saidAt = performance.now()
  const progress = await verifySlice(deps, id, null, {
    signal,
    due: () => false,
    report: ({ size, head }) => {
      if (performance.now() - saidAt < LINE_EVERY_MS) return
      saidAt = performance.now()
      onProgress(`derived ${size} of ${head.size} leaves`)
    },
  })
  signal.throwIfAborted()
  return progress
}

const derived = (progress: Progress): DerivedLog => ({
  damage: damageOf(progress),
  detached: progress.detached.leaves,
})

function damageOf({ findings }: Progress): string | null {
  if (!isDamaged(findings)) return null
  const counts = Object.entries(findings.counts).map(([kind, count]) => `${count} ${kind}`)
  const [first] = findings.kept
  const where = first?.leafIndex === null || first === undefined ? '' : ` at leaf ${first.leafIndex}`
  return `what it holds does not follow from its bytes (${counts.join(', ')}), first${where}: ${first?.detail ?? ''}`
}
