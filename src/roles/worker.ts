import { randomUUID } from 'node:crypto'
import { createTargetReader } from '../kafka/target-reader.ts'
import { createTransactionLaneFactory } from '../kafka/transaction-lane.ts'
import { startReplayWorker } from '../replay/worker.ts'
import type { RoleContext, RunningRole } from './context.ts'

/** Takes replays and checkpoints from Temporal; waits for Temporal by itself. */
export function startWorkerRole(context: RoleContext): RunningRole {
  const { config, store, directory, kafka, log, metrics } = context
  return startReplayWorker({
    temporal: config.temporal,
    activities: {
      log: store.reader,
      checkpoints: store.checkpoints,
      replays: store.replays,
      topics: directory,
      lanes: createTransactionLaneFactory(kafka),
      targets: createTargetReader(kafka),
      settings: { ...config.replay, ingestedTopics: config.kafka.topics },
      logger: log,
      observer: metrics.replay,
      now: Date.now,
      randomUuid: randomUUID,
    },
    maxConcurrentActivities: config.database.poolSize,
  })
}
