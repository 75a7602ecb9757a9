import type { Config } from '../config.ts'
import { createKafkaConnection, type KafkaConnection } from '../kafka/connection.ts'
import { createTopicDirectory, type KafkaTopicDirectory } from '../kafka/topic-directory.ts'
import type { Logger } from '../logger.ts'
import { createMetrics, type Metrics } from '../metrics/metrics.ts'
import { createDatabase, type Database } from '../store/database.ts'
import { createStore, type Store } from '../store/store.ts'

/** What all roles of one process share. */
export interface RoleContext {
  readonly config: Config
  readonly log: Logger
  readonly metrics: Metrics
  readonly database: Database
  readonly store: Store
  readonly kafka: KafkaConnection
  readonly directory: KafkaTopicDirectory
}

/** A role at work; `stop` finishes or gives up what it has begun. The caller bounds the time. */
export interface RunningRole {
  stop(): Promise<void>
}

/** Builds the clients; opens no connection yet. */
export function createContext(config: Config, log: Logger): RoleContext {
  const database = createDatabase({
    url: config.database.url,
    maxAppenders: config.database.appendPoolSize,
    maxReaders: config.database.poolSize,
    onConnectionLost: (error) => log.warn('an idle database connection broke', { error }),
  })
  const kafka = createKafkaConnection({
    brokers: config.kafka.brokers,
    clientId: config.kafka.clientId,
    tls: config.kafka.tls,
    sasl: config.kafka.sasl,
    log: {
      debug: (fields, message) => log.debug(message, fields),
      warn: (fields, message) => log.warn(message, fields),
    },
  })
  return {
    config,
    log,
    metrics: createMetrics(),
    database,
    store: createStore(database, {
      dedupWindowOffsets: config.ingest.dedupWindowOffsets,
      onBlockerTerminated: (blocker) =>
        log.warn('ended a session that held the lock of a log', { ...blocker }),
    }),
    kafka,
    directory: createTopicDirectory(kafka),
  }
}

export async function closeContext(context: RoleContext): Promise<void> {
  await Promise.allSettled([context.directory.close(), context.database.close()])
}
