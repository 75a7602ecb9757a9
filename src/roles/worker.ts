import { randomUUID } from 'node:crypto'
import { createTransactionLaneFactory } from '../kafka/transaction-lane.ts'
import { startReplayWorker } from '../replay/worker.ts'
import { createCheckpointStore } from '../store/checkpoints.ts'
import { createEventLogReader } from '../store/reader.ts'
import { createReplayStore } from '../store/replays.ts'
import type { RoleContext, RunningRole } from './context.ts'

/** Takes replays and checkpoints from Temporal; waits for Temporal by itself. */
export function startWorkerRole(context: RoleContext): RunningRole {
  const { config, database, directory, kafka, log, metrics } = context
  return startReplayWorker({
    temporal: config.temporal,
    activities: {
      log: createEventLogReader(database),
      checkpoints: createCheckpointStore(database),
      replays: createReplayStore(database),
      topics: directory,
      lanes: createTransactionLaneFactory(kafka),
      settings: { ...config.replay, ingestedTopics: config.kafka.topics },
      logger: log,
      observer: metrics.replay,
      now: Date.now,
      randomUuid: randomUUID,
    },
    maxConcurrentActivities: config.database.poolSize,
  })
}
