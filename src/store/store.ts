import type {
  CheckpointStore,
  EventLogReader,
  EventLogWriter,
  QueryStore,
  ReplayStore,
  SchemaProbe,
  SigningKeyStore,
} from '../ports.ts'
import { createCheckpointStore } from './checkpoints.ts'
import type { Database } from './database.ts'
import { createQueryStore } from './queries.ts'
import { createEventLogReader } from './reader.ts'
import { createReplayStore } from './replays.ts'
import { createSchemaProbe } from './schemaProbe.ts'
import { createSigningKeyStore } from './signingKeys.ts'
import { createEventLogWriter, type WriterOptions } from './writer.ts'

export interface Store {
  readonly writer: EventLogWriter
  readonly reader: EventLogReader
  readonly checkpoints: CheckpointStore
  readonly signingKeys: SigningKeyStore
  readonly replays: ReplayStore
  readonly queries: QueryStore
  readonly schema: SchemaProbe
}

/** Everything that the other parts need from PostgreSQL, over one pair of pools. */
export const createStore = (database: Database, options: WriterOptions = {}): Store => ({
  writer: createEventLogWriter(database, options),
  reader: createEventLogReader(database),
  checkpoints: createCheckpointStore(database),
  signingKeys: createSigningKeyStore(database),
  replays: createReplayStore(database),
  queries: createQueryStore(database),
  schema: createSchemaProbe(database),
})
