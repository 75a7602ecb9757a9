import type {
  CheckpointStore,
  EventLogReader,
  EventLogWriter,
  LogAudit,
  ProducerStore,
  QueryStore,
  ReplayStore,
  SchemaProbe,
  SigningKeyStore,
  VerificationStore,
} from '../ports.ts'
import { createCheckpointStore } from './checkpoints.ts'
import type { Database } from './database.ts'
import { createProducerStore } from './producers.ts'
import { createQueryStore } from './queries.ts'
import { createEventLogReader } from './reader.ts'
import { createReplayStore } from './replays.ts'
import { createSchemaProbe } from './schemaProbe.ts'
import { createSigningKeyStore } from './signingKeys.ts'
import { createLogAudit } from './verification/logAudit.ts'
import { createVerificationStore } from './verification/verifications.ts'
import { createEventLogWriter, type WriterOptions } from './writer.ts'

export interface Store {
  readonly writer: EventLogWriter
  readonly reader: EventLogReader
  readonly audit: LogAudit
  readonly checkpoints: CheckpointStore
  readonly signingKeys: SigningKeyStore
  readonly producers: ProducerStore
  readonly replays: ReplayStore
  readonly verifications: VerificationStore
  readonly queries: QueryStore
  readonly schema: SchemaProbe
}

/** Everything that the other parts need from PostgreSQL, over one pair of pools. */
export const createStore = (database: Database, options: WriterOptions = {}): Store => ({
  writer: createEventLogWriter(database, options),
  reader: createEventLogReader(database),
  audit: createLogAudit(database),
  checkpoints: createCheckpointStore(database),
  signingKeys: createSigningKeyStore(database),
  producers: createProducerStore(database),
  replays: createReplayStore(database),
  verifications: createVerificationStore(database),
  queries: createQueryStore(database),
  schema: createSchemaProbe(database),
})
