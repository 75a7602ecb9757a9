/** Records and proofs as the edges hand them out. */
import { formatExportedRecord } from '../domain/evidence/exportedRecord.ts'
import { formatOrigin } from '../domain/evidence/origin.ts'
import type { CheckpointStore, EventLogReader, NoteStore, SigningKeyStore, StoredEvent } from '../ports.ts'
import { type ConsistencyQuery, handOutNote, proveConsistency } from './checkpointEvidence.ts'
import { exportEvent, proveEvent } from './eventEvidence.ts'

export interface EvidenceDependencies {
  readonly reader: EventLogReader
  readonly checkpoints: CheckpointStore
  readonly signingKeys: SigningKeyStore
  readonly notes: Pick<NoteStore, 'placedNotes'>
  /** Name of the installation where no key has said it yet. */
  readonly instanceName: string
}

export interface EvidenceOperations {
  /** One line of canonical JSON with its newline (docs/evidence.md). Throws LOG_DAMAGED. */
  eventRecord(event: StoredEvent): Promise<string>
  /** A C2SP tlog-proof. Throws what `proveEvent` throws. */
  eventProof(event: StoredEvent, checkpointId?: string): Promise<string>
  /** A signed note with the cosignatures of witnesses. Throws what `handOutNote` throws. */
  checkpointNote(checkpointId: string, partition?: number): Promise<string>
  /** Throws what `proveConsistency` throws. */
  consistencyProof(query: ConsistencyQuery): Promise<string>
}

export function createEvidenceOperations(deps: EvidenceDependencies): EvidenceOperations {
  return {
    async eventRecord(event) {
      const { topic, partition, topicId, incarnation, startOffset } = event
      const instance = (await deps.signingKeys.keyState()).periods[0]?.key.name ?? deps.instanceName
      const origin = formatOrigin({ instance, topic, partition, topicId, incarnation, startOffset })
      return `${formatExportedRecord(exportEvent(event, origin))}\n`
    },
    eventProof: (event, checkpointId) => proveEvent(deps, event, checkpointId),
    checkpointNote: (checkpointId, partition) => handOutNote(deps, checkpointId, partition),
    consistencyProof: (query) => proveConsistency(deps, query),
  }
}
