/**
 * What may be asked to be verified: the body of `POST /verifications` and the input of the workflow `verifyLog`. Free of
 * Node's modules, since workflows import it.
 */
import { z } from 'zod'
import { type Parsed, parseWith, partitionNumber, topicName } from '../requestFields.ts'

/** Without a topic all logs; without `partition` all partitions; without `incarnation` all incarnations. */
export interface VerificationRequest {
  readonly topic?: string
  readonly partition?: number
  readonly incarnation?: number
}

const MAX_INCARNATION = 2 ** 31 - 1

const shape = z.strictObject({
  topic: topicName.optional(),
  partition: partitionNumber.optional(),
  incarnation: z.int().min(1).max(MAX_INCARNATION).optional(),
})

/** Checks a request from outside; nothing is an empty one. Every problem names its field. */
export function parseVerificationRequest(input: unknown): Parsed<VerificationRequest> {
  const parsed = parseWith(shape as z.ZodType<VerificationRequest>, input ?? {})
  if (!parsed.ok || parsed.value.topic !== undefined || parsed.value.partition === undefined) return parsed
  return { ok: false, problems: [{ path: 'topic', message: 'is needed when a partition is given' }] }
}

/** For people: `orders/3, incarnation 2`, `orders`, `all logs`. */
export function nameOfRequest({ topic, partition, incarnation }: VerificationRequest): string {
  const place = topic === undefined ? 'all logs' : partition === undefined ? topic : `${topic}/${partition}`
  return incarnation === undefined ? place : `${place}, incarnation ${incarnation}`
}
