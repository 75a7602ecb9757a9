import type { Express } from 'express'
import { createApi } from '../api/app.ts'
import type { Readiness } from '../api/health.ts'
import { registerLogMetrics } from '../metrics/logs.ts'
import { createReplayOperations } from '../replay/operations.ts'
import type { TemporalClient } from '../replay/temporalClient.ts'
import { createCheckpointStore } from '../store/checkpoints.ts'
import { createQueryStore } from '../store/queries.ts'
import { createEventLogReader } from '../store/reader.ts'
import { createReplayStore } from '../store/replays.ts'
import type { RoleContext } from './context.ts'

/** The admin API over the same operations that the CLI and Temporal's own tools use. */
export function createApiRole(
  context: RoleContext,
  temporal: TemporalClient,
  readiness: () => Promise<Readiness>,
): Express {
  const { config, database, directory, metrics, log } = context
  const checkpoints = createCheckpointStore(database)
  const operations = createReplayOperations({
    temporal,
    taskQueue: config.temporal.taskQueue,
    replays: createReplayStore(database),
    log: createEventLogReader(database),
    checkpoints,
    topics: directory,
    settings: { createTargets: config.replay.createTargets, ingestedTopics: config.kafka.topics },
    now: Date.now,
  })
  const queries = createQueryStore(database)
  registerLogMetrics(metrics.registry, queries.allLogs)
  return createApi({
    readiness,
    metrics,
    log,
    operations,
    queries: { ...queries, ...checkpoints },
    allowedHosts: config.http.allowedHosts,
  })
}
