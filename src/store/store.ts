import type {
  ArchiveStore,
  CheckpointStore,
  CustodyStore,
  EventLogReader,
  EventLogWriter,
  HoldStore,
  LogAudit,
  NoteStore,
  ProducerStore,
  QueryStore,
  ReplayStore,
  SchemaProbe,
  SigningKeyStore,
  VerificationStore,
} from '../ports.ts'
import { createArchiveStore } from './archive/archives.ts'
import { createHoldStore } from './archive/holds.ts'
import { createCheckpointStore } from './checkpoints.ts'
import { createCustodyStore } from './custody.ts'
import type { Database } from './database.ts'
import { createNoteStore } from './notes.ts'
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
  readonly notes: NoteStore
  readonly producers: ProducerStore
  readonly replays: ReplayStore
  readonly verifications: VerificationStore
  readonly archives: ArchiveStore
  readonly holds: HoldStore
  readonly queries: QueryStore
  readonly custody: CustodyStore
  readonly schema: SchemaProbe
}

/** Everything that the other parts need from PostgreSQL, over one pair of pools. */
export const createStore = (database: Database, options: WriterOptions = {}): Store => ({
  writer: createEventLogWriter(database, options),
  reader: createEventLogReader(database),
  audit: createLogAudit(database),
  checkpoints: createCheckpointStore(database),
  signingKeys: createSigningKeyStore(database),
  notes: createNoteStore(database),
  producers: createProducerStore(database),
  replays: createReplayStore(database),
  verifications: createVerificationStore(database),
  archives: createArchiveStore(database),
  holds: createHoldStore(database),
  queries: createQueryStore(database),
  custody: createCustodyStore(database),
  schema: createSchemaProbe(database),
})
