/** What may be asked of a checkpoint: the body of `POST /checkpoint` and the input of the workflow `createCheckpoint`. */
import { z } from 'zod'
import { offsetText, type Parsed, parseWith, partitionNumber, topicName } from './requestFields.ts'

/** Without `partition` all partitions of the topic; without `offset` the head of the log. */
export interface CheckpointRequest {
  readonly topic: string
  readonly partition?: number
  /** Decimal; covers the offsets below. */
  readonly offset?: string
}

const shape = z.strictObject({
  topic: topicName,
  partition: partitionNumber.optional(),
  offset: offsetText.optional(),
})

/** Checks a request from outside. Every problem names its field; unknown fields are problems. */
export function parseCheckpointRequest(input: unknown): Parsed<CheckpointRequest> {
  const parsed = parseWith(shape as z.ZodType<CheckpointRequest>, input)
  if (!parsed.ok || parsed.value.offset === undefined || parsed.value.partition !== undefined) return parsed
  return { ok: false, problems: [{ path: 'partition', message: 'is needed when an offset is given' }] }
}
