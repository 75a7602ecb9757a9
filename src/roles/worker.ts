import { randomUUID } from 'node:crypto'
import { currentSigners } from '../../activities/signers.ts'
import { createDecoder } from '../domain/decode.ts'
import type { RecordVerdict } from '../domain/verification/deriveRow.ts'
import { createRecordDecoder } from '../ingest/decoder.ts'
import { createTargetReader } from '../kafka/target-reader.ts'
import { createTransactionLaneFactory } from '../kafka/transaction-lane.ts'
import { registerCheckpointMetrics } from '../metrics/checkpoints.ts'
import { zstdCodec } from '../places/archives/codec.ts'
import { openArchivePlace } from '../places/archives/open.ts'
import { createNotePlaces } from '../places/places.ts'
import { startNoteRelay } from '../replay/noteRelay.ts'
import type { TemporalClient } from '../replay/temporalClient.ts'
import { startReplayWorker } from '../replay/worker.ts'
import type { RoleContext, RunningRole } from './context.ts'

/** Takes replays and checkpoints from Temporal; waits for Temporal by itself. */
export function startWorkerRole(context: RoleContext, temporal: TemporalClient): RunningRole {
  const { config, store, directory, kafka, log, metrics } = context
  void announceKeys(context)
  registerCheckpointMetrics(metrics.registry, config.kafka.topics, store.checkpoints.standingOf)
  const places = createNotePlaces(config.places.notes, {
    kafka,
    s3Credentials: config.places.s3Credentials,
    log: store.reader,
  })
  const relay = startNoteRelay({
    client: temporal.client,
    taskQueue: config.temporal.taskQueue,
    places: places.map(({ name }) => name),
    notes: store.notes,
    log,
  })
  const { archives, s3Credentials } = config.places
  const archivePlace =
    archives === null
      ? null
      : openArchivePlace(archives, s3Credentials, (remark) =>
          log.warn('in the place of archives', { remark }),
        )
  const worker = startReplayWorker({
    temporal: config.temporal,
    activities: {
      log: store.reader,
      checkpoints: store.checkpoints,
      archives: store.archives,
      archivePlace,
      archiveCodec: zstdCodec,
      holds: store.holds,
      producers: store.producers,
      instanceName: config.signing.instanceName,
      replays: store.replays,
      signingKeys: store.signingKeys,
      signing: config.signing,
      notes: store.notes,
      places,
      checkpointStored: () => relay.wake(),
      topics: directory,
      lanes: createTransactionLaneFactory(kafka),
      targets: createTargetReader(kafka),
      settings: { ...config.replay, ingestedTopics: config.kafka.topics },
      logger: log,
      audit: store.audit,
      logs: store.queries,
      verifications: store.verifications,
      verdict: verdictOf(context),
      observer: { ...metrics.replay, ...metrics.verification, ...metrics.notes },
      now: Date.now,
      randomUuid: randomUUID,
    },
    maxConcurrentActivities: config.database.poolSize,
  })
  return {
    async stop() {
      await Promise.all([relay.stop(), worker.stop()])
      for (const place of places) place.close()
      archivePlace?.close()
    },
  }
}

/** A new key is published, by GET /keys, before it has signed anything; whether one signs is said in the log. Never rejects. */
async function announceKeys({ config, store, log }: RoleContext): Promise<void> {
  const { signing } = config
  const places = config.places.notes.map(({ name }) => name)
  try {
    const { keys } = await currentSigners(store.signingKeys, signing)
    const signedBy = keys.map(({ verifierKey }) => `${verifierKey.name}+${verifierKey.keyId}`)
    if (keys.length > 0)
      log.info('checkpoints are signed', { signedBy, ...(places.length > 0 && { places }) })
    else
      log.warn('checkpoints are not signed: there is no CHECKPOINT_SIGNING_KEY', {
        ...(places.length > 0 && { places, note: 'nothing is sent to them' }),
      })
  } catch (error) {
    log.error('checkpoints cannot be signed', { error })
  }
}

/** As ingest judges, but for the size: that is a setting, and may have been another one. */
const verdictOf = ({ config }: RoleContext): RecordVerdict =>
  createRecordDecoder(
    createDecoder({ maxValueBytes: Number.MAX_SAFE_INTEGER, fastPath: config.ingest.fastPath }),
  )
