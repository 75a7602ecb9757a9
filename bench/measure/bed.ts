import type { ServerName } from '../../stack/state.ts'
import type { Say } from '../run/say.ts'
import type { World } from '../run/world.ts'
import type { BenchOptions } from './options.ts'

/** What every measurement works with. */
export interface Bed {
  readonly world: World
  readonly options: BenchOptions
  readonly partitions: number
  /** The topic that all measurements read, filled before the first. */
  readonly source: string
  readonly serverPids: Readonly<Partial<Record<ServerName, number>>>
  readonly kafkaClasspath: string | null
  readonly say: Say
  readonly signal: AbortSignal
}

/** What the roles are started with, beside the servers' addresses. */
export const roleEnvironment = (bed: Bed, appUrl: string, group: string): Record<string, string> => ({
  DATABASE_URL: appUrl,
  KAFKA_TOPICS: bed.source,
  KAFKA_GROUP_ID: `${bed.world.name}-${group}`,
  TEMPORAL_TASK_QUEUE: bed.world.name,
  BATCH_MODE: 'true',
  LOG_LEVEL: 'warn',
})
