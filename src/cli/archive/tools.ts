/** What `pnpm archive` does without the service: with files, a bucket, the database's owner and Kafka. Handed in by its entry. */
import type { PlaceVerification } from '../../domain/archive/placeVerification.ts'
import type { AdoptionReport, RecoveryReport } from '../../domain/archive/recoveryView.ts'

export interface VerifyPlaceInput {
  /** A folder, `file:///…` or `s3://…`. */
  readonly place: string
  /** Only this archive. */
  readonly id?: string
  /** Verifier keys, or files with one a line. */
  readonly keys: readonly string[]
}

/** Notes in all places, and those in the manifests of archives. */
export interface AdoptInput {
  /** Where archives are. */
  readonly from: readonly string[]
  /** Folders or files, or places as in NOTE_PLACES. */
  readonly notes: readonly string[]
  readonly keys: readonly string[]
  /** Archives to leave alone. */
  readonly except: readonly string[]
  /** Only this installation's archives. */
  readonly instance?: string
}

export interface RecoverInput extends AdoptInput {
  readonly kafka: boolean
}

export interface DetachInput {
  /** `2026-01-31`. */
  readonly day: string
  readonly reason: string
}

export interface DetachedPartition {
  readonly day: string
  readonly table: string
  readonly events: string
}

/** All throw ServiceError or CliFailure. */
export interface ArchiveTools {
  verify(input: VerifyPlaceInput, say: (line: string) => void): Promise<PlaceVerification>
  recover(input: RecoverInput, say: (line: string) => void): Promise<RecoveryReport>
  adoptNotes(input: AdoptInput, say: (line: string) => void): Promise<AdoptionReport>
  detach(input: DetachInput): Promise<DetachedPartition>
}
