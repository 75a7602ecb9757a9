/**
 * What a source event is: zod's definition, the only one. The fast path beside it (fastPath.ts) is held to it.
 */
import { z } from 'zod'
import { canonicalize } from './canonicalJson.ts'
import { type Classification, classifications } from './model.ts'

/** Most UTF-16 code units in a text that becomes a column. */
export const MAX_COLUMN_LENGTH = 256
/** 9999-12-31T23:59:59.999Z, the last instant that four-digit years can write. */
export const MAX_TIMESTAMP_MS = 253_402_300_799_999
export const MAX_POLICY_TAGS = 100
export const MAX_TRANSFORMATIONS = 1_000

/** `data` and the like: any JSON object; hashed as it was parsed, whatever its members are called. */
const jsonObject = z.custom<Readonly<Record<string, unknown>>>(
  (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
  'Invalid input: expected object',
)

/** Text that PostgreSQL can store as it is and that fits a column. */
const columnText = z
  .string()
  .max(MAX_COLUMN_LENGTH)
  .refine((text) => !text.includes('\u0000'), 'holds U+0000, which a column cannot store')
const requiredText = columnText.min(1)

const transformation = z.object({
  operation: z.string(),
  timestamp: z.number(),
  userId: z.string().optional(),
})

/** At most `most` items; a longer list is one problem, not one per item. */
const boundedList = <Item extends z.ZodType>(item: Item, most: number) =>
  z.array(z.unknown()).max(most).pipe(z.array(item))

const provenance = z.object({
  hash: z
    .string()
    .regex(/^(sha256:)?[0-9a-fA-F]{64}$/, 'expected 64 hex digits, with or without "sha256:"')
    .optional(),
  signature: z.string().optional(),
  policyTags: boundedList(requiredText, MAX_POLICY_TAGS).optional(),
  classification: z.enum(classifications).optional(),
  source: z.string().optional(),
  ingestionTime: z.number().optional(),
  transformations: boundedList(transformation, MAX_TRANSFORMATIONS).optional(),
})

/**
 * Members that it does not name are no error anywhere: zod leaves them out of what it returns, but what is hashed,
 * stored and shown is the parsed value, in which they stay.
 */
export const eventSchema = z.object({
  id: z.uuid(),
  type: requiredText,
  source: requiredText,
  timestamp: z.int().min(0).max(MAX_TIMESTAMP_MS),
  data: jsonObject,
  metadata: z.object({
    version: z.string(),
    correlationId: z.string().optional(),
    causationId: z.string().optional(),
    userId: z.string().optional(),
    tenantId: columnText.optional(),
  }),
  provenance: provenance.optional(),
})

/** A valid event as it was parsed, members of any other name included. */
export type SourceEvent = z.infer<typeof eventSchema>

/** What of an event's provenance counts for its content hash, with the defaults filled in. */
export interface Policy {
  readonly classification: Classification
  /** Sorted, unique. */
  readonly policyTags: readonly string[]
}

const noTags: readonly string[] = []

export function policyOf(event: SourceEvent): Policy {
  const { provenance } = event
  const tags = provenance?.policyTags
  return {
    classification: provenance?.classification ?? 'UNCLASSIFIED',
    policyTags: tags === undefined || tags.length === 0 ? noTags : [...new Set(tags)].sort(),
  }
}

/**
 * The canonical text that the content hash covers: JCS of {v: 1, id (lower case), type, source, timestamp, data,
 * metadata, policyTags, classification}. Throws CanonicalJsonError when data or metadata has no canonical form.
 */
export function canonicalEvent(event: SourceEvent, policy: Policy): string {
  return canonicalize({
    classification: policy.classification,
    data: event.data,
    id: event.id.toLowerCase(),
    metadata: event.metadata,
    policyTags: policy.policyTags,
    source: event.source,
    timestamp: event.timestamp,
    type: event.type,
    v: 1,
  })
}
