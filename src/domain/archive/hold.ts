/** Legal holds: what may not leave the database. Set and lifted with a reason; the newest word on a subject counts. */
import { z } from 'zod'
import { MAX_COLUMN_LENGTH } from '../eventSchema.ts'
import { type Parsed, parseWith, reasonText, topicName } from '../requestFields.ts'

export const holdScopes = ['topic', 'tenant'] as const
export type HoldScope = (typeof holdScopes)[number]

/** Body of `POST /legal-holds` and `POST /legal-holds/lift`: a topic or a tenant, and why. */
export interface HoldRequest {
  readonly scope: HoldScope
  readonly subject: string
  readonly reason: string
}

export interface HoldView {
  readonly scope: HoldScope
  readonly subject: string
  readonly held: boolean
  /** Of the newest word: why, when and by whom it was set or lifted. */
  readonly reason: string
  readonly since: string
  readonly by: string
}

const tenantText = z
  .string()
  .max(MAX_COLUMN_LENGTH)
  .refine((text) => text.isWellFormed() && !text.includes('\u0000'), 'is nothing that an event can have')

const shape = z
  .strictObject({ topic: topicName.optional(), tenantId: tenantText.optional(), reason: reasonText })
  .superRefine(({ topic, tenantId }, context) => {
    if ((topic === undefined) === (tenantId === undefined))
      context.addIssue({ code: 'custom', path: ['topic'], message: 'give a topic or a tenantId' })
  })
  .transform(({ topic, tenantId, reason }): HoldRequest => {
    if (topic !== undefined) return { scope: 'topic', subject: topic, reason }
    return { scope: 'tenant', subject: tenantId ?? '', reason }
  })

/** Checks a request from outside. Every problem names its field; unknown fields are problems. */
export const parseHoldRequest = (input: unknown): Parsed<HoldRequest> =>
  parseWith(shape as unknown as z.ZodType<HoldRequest>, input)
