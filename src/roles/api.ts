import type { Express } from 'express'
import { createApi } from '../api/app.ts'
import type { Readiness } from '../api/health.ts'
import { eventCustody } from '../evidence/custody.ts'
import { createEvidenceOperations } from '../evidence/operations.ts'
import { createProducerOperations } from '../evidence/producerOperations.ts'
import { createLogOperations } from '../ingest/logOperations.ts'
import { registerLogMetrics } from '../metrics/logs.ts'
import { registerVerdictMetrics } from '../metrics/verification.ts'
import { createArchiveOperations } from '../replay/archiveOperations.ts'
import { createCheckpointSchedules } from '../replay/checkpointSchedules.ts'
import { createReplayOperations } from '../replay/operations.ts'
import type { TemporalClient } from '../replay/temporalClient.ts'
import { createVerificationOperations } from '../replay/verificationOperations.ts'
import type { RoleContext } from './context.ts'

/** The admin API over the same operations that the CLI and Temporal's own tools use. */
export function createApiRole(
  context: RoleContext,
  temporal: TemporalClient,
  readiness: () => Promise<Readiness>,
): Express {
  const { config, store, directory, metrics, log } = context
  const replays = createReplayOperations({
    temporal,
    taskQueue: config.temporal.taskQueue,
    replays: store.replays,
    log: store.reader,
    checkpoints: store.checkpoints,
    signingKeys: store.signingKeys,
    topics: directory,
    settings: { createTargets: config.replay.createTargets, ingestedTopics: config.kafka.topics },
    now: Date.now,
  })
  const logs = createLogOperations({
    writer: store.writer,
    reader: store.reader,
    queries: store.queries,
    directory,
    groupId: config.kafka.groupId,
  })
  const evidence = createEvidenceOperations({
    reader: store.reader,
    checkpoints: store.checkpoints,
    signingKeys: store.signingKeys,
    notes: store.notes,
    instanceName: config.signing.instanceName,
  })
  const places = config.places.notes.map(({ name }) => name)
  const producers = createProducerOperations(store.producers, Date.now)
  const verifications = createVerificationOperations({
    temporal,
    taskQueue: config.temporal.taskQueue,
    verifications: store.verifications,
    replays: store.replays,
    logs: store.queries,
  })
  const archives = createArchiveOperations({
    temporal,
    taskQueue: config.temporal.taskQueue,
    archives: store.archives,
    holds: store.holds,
    logs: store.queries,
    hasPlace: config.places.archives !== null,
  })
  const checkpointSchedules = createCheckpointSchedules({
    temporal,
    taskQueue: config.temporal.taskQueue,
    log: store.reader,
    checkpoints: store.checkpoints,
  })
  registerVerdictMetrics(metrics.registry, store.verifications.lastFinished)
  registerLogMetrics(metrics.registry, store.queries.allLogs)
  return createApi({
    readiness,
    metrics,
    log,
    operations: {
      ...replays,
      ...archives,
      ...logs,
      ...verifications,
      ...evidence,
      ...producers,
      checkpointSchedules,
      eventCustody: (event) => eventCustody(store, event),
    },
    queries: {
      ...{ ...store.queries, ...store.checkpoints, ...store.signingKeys, ...store.notes },
      unplacedNotes: (id) => store.notes.unplacedNotes(id, places),
    },
    allowedHosts: config.http.allowedHosts,
  })
}
