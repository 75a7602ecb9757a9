/** What may be asked of a closed log: the body of `POST /logs/open-incarnation`. */
import { z } from 'zod'
import { type Parsed, parseWith, partitionNumber, reasonText, topicName } from './requestFields.ts'

/** Without `partition` every closed log of the topic. */
export interface IncarnationRequest {
  readonly topic: string
  readonly partition?: number
  /** Why, in words, for the record. */
  readonly reason?: string
}

const shape = z.strictObject({
  topic: topicName,
  partition: partitionNumber.optional(),
  reason: reasonText.optional(),
})

/** Checks a request from outside. Every problem names its field; unknown fields are problems. */
export const parseIncarnationRequest = (input: unknown): Parsed<IncarnationRequest> =>
  parseWith(shape as z.ZodType<IncarnationRequest>, input)
