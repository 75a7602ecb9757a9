/** Producers (src/store). */
import type { VerifierKey } from '../domain/evidence/noteKeys.ts'
import type { ProducerKeyRequest, SignaturePolicyRequest } from '../domain/producerRequests.ts'
import type { ProducerKey, SignaturePolicy, SourceSignatures } from '../domain/producerSignature.ts'

export interface ProducerSource {
  readonly source: string
  /** `require` also while a key of it that has not ended is stored in a form that cannot be read. */
  readonly policy: SignaturePolicy
  /** The oldest first; of more than a thousand those that are valid, then those still to come, then the newest. */
  readonly keys: readonly ProducerKey[]
}

export interface ProducerStore {
  /** Sources whose signatures are looked at, with all keys but those that ended more than an hour ago. */
  signatureSources(): Promise<ReadonlyMap<string, SourceSignatures>>
  /** By source, from behind `after`; one alone with `source`. */
  listSources(query: {
    readonly source?: string
    readonly after?: string
    readonly limit: number
  }): Promise<readonly ProducerSource[]>
  /** The keys that were valid then, by what is known of them now. */
  keysAt(source: string, at: Date): Promise<readonly VerifierKey[]>
  /** Adds a key, or gives a known one another validity. Throws PRODUCERS_FULL. */
  putKey(request: ProducerKeyRequest, createdBy: string): Promise<ProducerSource>
  /** Throws PRODUCER_KEY_MISSING for a policy that needs a key where none is valid, PRODUCERS_FULL. */
  putPolicy(request: SignaturePolicyRequest, createdBy: string): Promise<ProducerSource>
}
