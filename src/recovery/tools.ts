/** The tools of `pnpm archive` over files, buckets, the owner's database and Kafka. */
import { resolve } from 'node:path'
import { adoptNotes } from '../archive/adoptNotes.ts'
import { findArchives } from '../archive/findArchives.ts'
import { notesIn } from '../archive/manifestWords.ts'
import type { HeldNote } from '../archive/notesHeld.ts'
import { recover } from '../archive/recover.ts'
import { verifyPlace } from '../archive/verifyPlace.ts'
import { OUTCOME_UNKNOWN } from '../cli/apiClient.ts'
import type { ArchiveTools } from '../cli/archive/tools.ts'
import { sourceOf } from '../cli/evidence/audit.ts'
import { keysOf } from '../cli/evidence/verify.ts'
import { badInput, CliFailure, interruptedFailure } from '../cli/failure.ts'
import type { Config } from '../config.ts'
import { isArchiveId } from '../domain/archive/manifest.ts'
import { parseArchivePlace } from '../domain/archive/place.ts'
import { createDecoder } from '../domain/decode.ts'
import { checkpointOf } from '../domain/evidence/checkpointNote.ts'
import { CommitUnknown } from '../errors.ts'
import { createRecordDecoder } from '../ingest/decoder.ts'
import { createKafkaConnection } from '../kafka/connection.ts'
import { createTopicDirectory } from '../kafka/topic-directory.ts'
import { zstdCodec } from '../places/archives/codec.ts'
import { openArchivePlace } from '../places/archives/open.ts'
import type { ArchivePlace } from '../ports.ts'
import { notesOf } from '../roles/audit.ts'
import { detachPartition } from '../store/archive/detach.ts'
import { openRecovery } from '../store/archive/recovery.ts'
import { createDatabase } from '../store/database.ts'
import { parseDatabaseUrl } from '../store/roles.ts'
import { createStore } from '../store/store.ts'

/** `DATABASE_URL` where none is given: not every tool needs one. */
export const NO_DATABASE = 'postgres://none/none'

export interface ToolsOptions {
  readonly config: Config
  readonly requestedBy: string
  readonly signal: AbortSignal
}

export function createArchiveTools(options: ToolsOptions): ArchiveTools {
  const { config, requestedBy, signal } = options
  const placeOf = (text: string, flag: string): ArchivePlace => {
    const given = /^[a-z0-9]+:/.test(text) ? text : resolve(text)
    const place = parseArchivePlace(given)
    if (!place.ok) throw badInput([{ path: flag, message: place.problem }])
    return openArchivePlace(place.value, config.places.s3Credentials)
  }
  return {
    async verify({ place: text, id, keys: given }, say) {
      if (id !== undefined && !isArchiveId(id))
        throw badInput([{ path: '--archive', message: 'must be the UUID of an archive, in lower case' }])
      const place = placeOf(text, 'place')
      const keys = await keysOf(given)
      try {
        return await verifyPlace({ place, codec: zstdCodec, signal }, id ?? null, keys, say)
      } finally {
        place.close()
      }
    },
    async recover({ from, notes, keys: given, kafka, except, instance = null }, say) {
      const places = from.map((text) => placeOf(text, 'from'))
      const url = ownerUrl(config)
      const keys = await keysOf(given)
      const held = await readNotes(notes, options)
      const store = await openRecovery(url, signal)
      const source = kafka ? openSource(config) : null
      try {
        return await recover({
          ...{
            places,
            codec: zstdCodec,
            notes: held,
            keys,
            store,
            requestedBy,
            signal,
            say,
            except,
            instance,
          },
          verdictOf: (signatures) =>
            createRecordDecoder(
              createDecoder({
                ...{ maxValueBytes: Number.MAX_SAFE_INTEGER, fastPath: config.ingest.fastPath, signatures },
              }),
            ),
          source,
          now: Date.now,
        })
      } catch (error) {
        if (!signal.aborted) throw error
        if (error instanceof CommitUnknown)
          throw new CliFailure(1, OUTCOME_UNKNOWN, `interrupted: ${error.message}`)
        throw interruptedFailure('nothing was written')
      } finally {
        for (const place of places) place.close()
        await source?.close()
        await store.close()
      }
    },
    async adoptNotes({ from, notes, keys: given, except, instance = null }, say) {
      const url = databaseUrl(config)
      const places = from.map((text) => placeOf(text, 'from'))
      const keys = await keysOf(given)
      const held = [...(await readNotes(notes, options))]
      const database = createDatabase({ url, maxAppenders: 1, maxReaders: 2 })
      try {
        if (places.length > 0) {
          const search = { places, codec: zstdCodec, keys, except, instance, signal, say, now: Date.now }
          held.push(...notesIn((await findArchives(search)).archives))
        }
        const store = createStore(database)
        return await adoptNotes({ ...store, logs: store.queries }, { notes: held, keys, say, signal })
      } finally {
        for (const place of places) place.close()
        await database.close()
      }
    },
    detach: (input) => detachPartition(ownerUrl(config), input, signal),
  }
}

/** As migrations do: the owner of `DATABASE_ADMIN_URL`, in the database that `DATABASE_URL` names, when it is given. */
export function ownerUrl({ database: { adminUrl, url } }: Config): string {
  if (adminUrl !== null)
    return url === NO_DATABASE
      ? adminUrl
      : parseDatabaseUrl(adminUrl, 'DATABASE_ADMIN_URL').urlOf(parseDatabaseUrl(url, 'DATABASE_URL').database)
  throw new CliFailure(
    2,
    'BAD_REQUEST',
    'DATABASE_ADMIN_URL is not set: give the URL of the database as its owner',
  )
}

/** The application's, and where only the owner's is given, that. */
function databaseUrl(config: Config): string {
  const { adminUrl, url } = config.database
  if (url !== NO_DATABASE) return url
  if (adminUrl !== null) return adminUrl
  throw new CliFailure(2, 'BAD_REQUEST', 'DATABASE_URL is not set: give the URL of the database')
}

function openSource(config: Config) {
  const { brokers, clientId, tls, sasl } = config.kafka
  const quiet = { debug: () => undefined, warn: () => undefined }
  return createTopicDirectory(createKafkaConnection({ brokers, clientId, tls, sasl, log: quiet }))
}

/** Of folders, files and places as in NOTE_PLACES. What nobody filed as a note, and is none, is passed over. */
async function readNotes(
  given: readonly string[],
  { config, signal }: ToolsOptions,
): Promise<readonly HeldNote[]> {
  const settings = { s3Credentials: config.places.s3Credentials, kafka: config.kafka }
  const notes: HeldNote[] = []
  for (const each of given) {
    const before = notes.length
    for await (const { where, bytes, isNote } of notesOf({ sources: [sourceOf(each)], signal }, settings)) {
      const text = bytes.toString('utf8')
      if (isNote || checkpointOf(text).ok) notes.push({ name: where, text })
    }
    if (notes.length === before) throw badInput([{ path: 'notes', message: `there is no note in ${each}` }])
  }
  return notes
}
