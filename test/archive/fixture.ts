/** Archives on real servers: a database with logs in it, a folder, and a second database to recover into. */
import { randomUUID } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { afterAll } from 'vitest'
import { archiveSlice } from '../../activities/archive/archiveSlice.ts'
import { planArchive } from '../../activities/archive/planArchive.ts'
import { sealArchive } from '../../activities/archive/sealArchive.ts'
import { finishArchive, verifyArchiveSlice } from '../../activities/archive/verifyArchive.ts'
import type { VerifyArchiveResult } from '../../activities/contract.ts'
import type { ActivityDependencies } from '../../activities/dependencies.ts'
import { storeCheckpoint } from '../../activities/storeCheckpoint.ts'
import type { HeldNote } from '../../src/archive/notesHeld.ts'
import { recover } from '../../src/archive/recover.ts'
import type { Manifest, ManifestLog } from '../../src/domain/archive/manifest.ts'
import type { ArchiveRequest } from '../../src/domain/archive/request.ts'
import type { ArchiveView } from '../../src/domain/archive/view.ts'
import { canonicalize } from '../../src/domain/canonicalJson.ts'
import { createDecoder, type SignatureRegistry } from '../../src/domain/decode.ts'
import { hashToHex, sha256 } from '../../src/domain/hash.ts'
import { ServiceError } from '../../src/errors.ts'
import { createRecordDecoder } from '../../src/ingest/decoder.ts'
import { zstdCodec } from '../../src/places/archives/codec.ts'
import { createFolderArchives } from '../../src/places/archives/folder.ts'
import type { ArchivePlace } from '../../src/ports.ts'
import { openRecovery } from '../../src/store/archive/recovery.ts'
import { scopeOf, usePlatform } from '../activities/fixture.ts'
import { testKey } from '../domain/evidence/keys.ts'
import { createTestDatabase, type TestDatabase, withClient } from '../support/database.ts'

export const verdictOf = (signatures: SignatureRegistry) =>
  createRecordDecoder(createDecoder({ maxValueBytes: Number.MAX_SAFE_INTEGER, fastPath: true, signatures }))

export const key = testKey('example.com/ingest', 1)

export function useArchives(name: string) {
  const { broker, platform } = usePlatform(name)
  const folders: string[] = []
  const databases: TestDatabase[] = []
  afterAll(async () => {
    for (const folder of folders) rmSync(folder, { recursive: true, force: true })
    for (const database of databases) await database.drop()
  })
  const makeFolder = (): string => {
    const folder = mkdtempSync(join(tmpdir(), 'streaming-ingest-archive-'))
    folders.push(folder)
    return folder
  }
  const depsFor = (place: ArchivePlace | null): ActivityDependencies => ({
    ...platform.deps,
    archivePlace: place,
    signing: { keys: [key], overlapMs: 0 },
  })
  return {
    broker,
    platform,
    makeFolder,
    depsFor,
    async checkpoint(topic: string): Promise<readonly HeldNote[]> {
      const { id } = await storeCheckpoint(depsFor(null), {
        ...{ checkpointId: randomUUID(), request: { topic }, requestedBy: 'test' },
      })
      const stored = await platform.store.checkpoints.getCheckpoint(id)
      return (stored?.positions ?? []).map(({ note, size }) => ({ name: `${size}.note`, text: note ?? '' }))
    },
    /** All that the workflow does, in one go. */
    archive: (folder: string, request: ArchiveRequest, id = randomUUID()) =>
      archiveWith(depsFor(createFolderArchives(folder)), request, id),
    async emptyDatabase(): Promise<TestDatabase> {
      const database = await createTestDatabase('recover')
      databases.push(database)
      return database
    },
  }
}

export async function archiveWith(
  deps: ActivityDependencies,
  request: ArchiveRequest,
  archiveId: string,
): Promise<ArchiveView> {
  const scope = scopeOf()
  const workflowId = `archive/${archiveId}`
  const { logs } = await planArchive(deps, { archiveId, workflowId, request, requestedBy: 'test' })
  for (const { logId } of logs) while (!(await archiveSlice(deps, scope, { archiveId, logId })).done);
  const { manifestHash } = await sealArchive(deps, scope, { archiveId, checkpointId: null })
  for (const { logId } of logs) {
    let position: VerifyArchiveResult['position'] | null = null
    for (let done = false; !done; )
      ({ position, done } = await verifyArchiveSlice(deps, scope, {
        archiveId,
        logId,
        manifestHash,
        position,
      }))
  }
  return await finishArchive(deps, { archiveId, status: 'verified', manifestHash })
}

type Options = Partial<
  Pick<Parameters<typeof recover>[0], 'notes' | 'keys' | 'source' | 'except' | 'instance' | 'places'>
>

export async function recoverInto(database: TestDatabase, folder: string, options: Options = {}) {
  const store = await openRecovery(database.adminUrl, new AbortController().signal)
  try {
    return await recover({
      places: [createFolderArchives(folder)],
      ...{
        codec: zstdCodec,
        notes: [],
        keys: [key.verifierKey],
        except: [],
        instance: null,
        store,
        verdictOf,
        source: null,
        ...options,
      },
      ...{ requestedBy: 'test', signal: new AbortController().signal, say: () => undefined, now: Date.now },
    })
  } finally {
    await store.close()
  }
}

/** `done`, or the code and text of what went wrong. */
export const codeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'done',
    (error: unknown) => (error instanceof ServiceError ? `${error.code}: ${error.message}` : String(error)),
  )

/**
 * Changes lines of an archive's first file of a kind and the manifest with it, as one who may write to the place would. An edit
 * that gives null leaves its line as it is.
 */
export function forgeLines(
  folder: string,
  id: string,
  kind: 'files' | 'checkpoints',
  edit: (line: Record<string, unknown>) => Record<string, unknown> | null,
): void {
  const path = join(folder, id, 'manifest.json')
  const manifest = JSON.parse(readFileSync(path, 'utf8'))
  const file = manifest.logs[0][kind][0]
  const lines = zstdDecompressSync(readFileSync(join(folder, id, file.name)))
    .toString('utf8')
    .trimEnd()
    .split('\n')
  const edited = lines.map((line) => {
    const changed = edit(JSON.parse(line))
    return changed === null ? line : canonicalize(changed)
  })
  const content = Buffer.from(edited.map((line) => `${line}\n`).join(''))
  const packed = zstdCompressSync(content)
  const sha = hashToHex(sha256(packed))
  writeFileSync(join(folder, id, file.name), packed)
  Object.assign(file, { bytes: packed.length, unpackedBytes: content.length, sha256: sha })
  writeFileSync(path, `${canonicalize(manifest)}\n`)
}

export function forgeManifest(
  folder: string,
  id: string,
  edit: (log: ManifestLog) => ManifestLog,
  change: Partial<Manifest> = {},
): void {
  const path = join(folder, id, 'manifest.json')
  const manifest = JSON.parse(readFileSync(path, 'utf8')) as Manifest
  writeFileSync(path, `${canonicalize({ ...manifest, ...change, logs: manifest.logs.map(edit) })}\n`)
}

const TABLES = {
  events: '"offset"',
  dead_letters: '"offset"',
  gaps: 'from_offset',
  log_nodes: 'level, index',
  checkpoint_positions: 'size, checkpoint_id',
}

/** Every row of the logs of a topic, with the log's name instead of its id. */
export const rowsOf = (url: string, topic: string): Promise<Readonly<Record<string, unknown>>> =>
  withClient(url, async (client) => {
    await client.query("set timezone to 'UTC'; set bytea_output to 'hex'")
    const found: Record<string, unknown> = {}
    const logs = await client.query(
      `select to_jsonb(l) - 'id' as row from partition_logs l where topic = $1 order by partition, incarnation`,
      [topic],
    )
    found['partition_logs'] = logs.rows
    for (const [table, order] of Object.entries(TABLES)) {
      const { rows } = await client.query(
        `select l.partition, l.incarnation, to_jsonb(t) - 'log_id' as row from ${table} t
           join partition_logs l on l.id = t.log_id where l.topic = $1 order by l.partition, l.incarnation, ${order
             .split(', ')
             .map((column) => `t.${column}`)
             .join(', ')}`,
        [topic],
      )
      found[table] = rows
    }
    const checkpoints = await client.query(
      `select to_jsonb(c) - 'sequence' as row from checkpoints c where topic = $1 order by sequence`,
      [topic],
    )
    found['checkpoints'] = checkpoints.rows
    return found
  })
