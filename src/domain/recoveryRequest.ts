/**
 * What may be asked when a replay's cursor is lost: the body of `POST /replay/:id/recover-cursor`, and the third argument of
 * the workflow `replay`. Free of Node's modules, since workflows import it.
 */
import { z } from 'zod'
import { type Parsed, parseWith, reasonText } from './requestFields.ts'

export interface RecoveryRequest {
  /** Where the target does not tell what was produced: go on all the same, though some events may come twice. */
  readonly acceptDoubles?: boolean
  /** Why, in words, for the record. */
  readonly reason?: string
}

const shape = z.strictObject({ acceptDoubles: z.boolean().optional(), reason: reasonText.optional() })

/** Checks a request from outside; nothing is an empty one. Every problem names its field. */
export const parseRecoveryRequest = (input: unknown): Parsed<RecoveryRequest> =>
  parseWith(shape as z.ZodType<RecoveryRequest>, input ?? {})
