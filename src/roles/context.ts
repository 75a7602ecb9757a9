import type { Config } from '../config.ts'
import { createKafkaConnection, type KafkaConnection } from '../kafka/connection.ts'
import { createTopicDirectory, type KafkaTopicDirectory } from '../kafka/topic-directory.ts'
import type { Logger } from '../logger.ts'
import { createMetrics, type Metrics } from '../metrics/metrics.ts'
import type { SchemaProbe } from '../ports.ts'
import { createDatabase, type Database } from '../store/database.ts'
import { createSchemaProbe } from '../store/schemaProbe.ts'

/** What all roles of one process share. */
export interface RoleContext {
  readonly config: Config
  readonly log: Logger
  readonly metrics: Metrics
  readonly database: Database
  readonly schema: SchemaProbe
  readonly kafka: KafkaConnection
  readonly directory: KafkaTopicDirectory
  /** Aborts when the process has been asked to stop. */
  readonly stopping: AbortSignal
}

/** A role at work; `stop` finishes or gives up what it has begun. The caller bounds the time. */
export interface RunningRole {
  stop(): Promise<void>
}

/** Builds the clients; opens no connection yet. */
export function createContext(config: Config, log: Logger, stopping: AbortSignal): RoleContext {
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
    schema: createSchemaProbe(database),
    kafka,
    directory: createTopicDirectory(kafka),
    stopping,
  }
}

export async function closeContext(context: RoleContext): Promise<void> {
  await Promise.allSettled([context.directory.close(), context.database.close()])
}
