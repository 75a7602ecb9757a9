/** What operators may say about producers: the bodies of `POST /producer-keys` and `POST /signature-policies`. */
import { z } from 'zod'
import { MAX_COLUMN_LENGTH } from './eventSchema.ts'
import { parseVerifierKey, type VerifierKey } from './evidence/noteKeys.ts'
import { type SignaturePolicy, signaturePolicies } from './producerSignature.ts'
import { isPresentableInstant, type Parsed, parseWith, reasonText } from './requestFields.ts'

/** A key of a source, or another validity of one that is known. */
export interface ProducerKeyRequest {
  readonly source: string
  readonly key: VerifierKey
  /** Inclusive; what it was for a key that is known, else now. */
  readonly validFrom?: Date
  /** Exclusive; without it the key has no end. */
  readonly validUntil?: Date
  readonly reason?: string
}

export interface SignaturePolicyRequest {
  readonly source: string
  readonly policy: SignaturePolicy
  readonly reason?: string
}

const sourceText = z
  .string()
  .min(1)
  .max(MAX_COLUMN_LENGTH)
  .refine((text) => text.isWellFormed() && !text.includes('\u0000'), 'is nothing that an event can have')

const keyText = z
  .string()
  .max(1_000)
  .transform((text, context): VerifierKey => {
    const key = parseVerifierKey(text.trim())
    if (key.ok) return key.value
    context.addIssue(key.detail)
    return z.NEVER
  })

const instant = z.iso
  .datetime({ offset: true, error: 'expected a time such as 2026-01-31T12:00:00Z' })
  .transform((text) => new Date(text))
  // By what it means, not by how it is written: an offset may lead out of the years that have four digits.
  .refine((at) => isPresentableInstant(at.getTime()), 'must lie in the years 1 to 9999 of UTC')

const keyShape = z
  .strictObject({
    source: sourceText,
    key: keyText,
    validFrom: instant.optional(),
    validUntil: instant.optional(),
    reason: reasonText.optional(),
  })
  .refine(
    ({ validFrom, validUntil }) =>
      validFrom === undefined || validUntil === undefined || validFrom < validUntil,
    { path: ['validUntil'], message: 'must lie behind validFrom' },
  )

const policyShape = z.strictObject({
  source: sourceText,
  policy: z.enum(signaturePolicies),
  reason: reasonText.optional(),
})

/** Checks a request from outside. Every problem names its field; unknown fields are problems. */
export const parseProducerKeyRequest = (input: unknown): Parsed<ProducerKeyRequest> =>
  parseWith(keyShape as unknown as z.ZodType<ProducerKeyRequest>, input)

export const parseSignaturePolicyRequest = (input: unknown): Parsed<SignaturePolicyRequest> =>
  parseWith(policyShape as z.ZodType<SignaturePolicyRequest>, input)
