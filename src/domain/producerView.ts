/** A source of events and its keys, as people see them. */
import type { SignaturePolicy } from './producerSignature.ts'

export interface ProducerKeyView {
  /** A verifier key: `<name>+<key id>+<base64>`. */
  readonly key: string
  /** ISO 8601. */
  readonly validFrom: string
  /** Exclusive; null while no end is set. */
  readonly validUntil: string | null
}

export interface ProducerView {
  readonly source: string
  readonly policy: SignaturePolicy
  readonly keys: readonly ProducerKeyView[]
}
