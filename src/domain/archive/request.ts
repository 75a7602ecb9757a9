/**
 * What may be asked to be archived: the body of `POST /archives` and the input of the workflow `archive`. Free of Node's
 * modules, since workflows import it.
 */
import { z } from 'zod'
import {
  isPresentableInstant,
  offsetText,
  type Parsed,
  parseWith,
  partitionNumber,
  reasonText,
  topicName,
} from '../requestFields.ts'

/**
 * A topic's logs, all or one, over a range of ingestion time or of leaves; without a range all that is logged. Instants
 * are ISO 8601 in UTC, `from` inclusive, `to` exclusive.
 */
export interface ArchiveRequest {
  readonly topic: string
  readonly partition?: number
  readonly incarnation?: number
  readonly from?: string
  readonly to?: string
  readonly fromLeaf?: string
  readonly toLeaf?: string
  readonly reason?: string
}

const MAX_INCARNATION = 2 ** 31 - 1
const INSTANT = 'expected a day such as 2026-01-31 (midnight UTC) or a time such as 2026-01-31T12:00:00Z'

const instant = z
  .union([z.iso.date(INSTANT), z.iso.datetime({ offset: true, error: INSTANT })], INSTANT)
  .transform((text) => new Date(text))
  .refine((at) => isPresentableInstant(at.getTime()), 'must lie in the years 1 to 9999 of UTC')
  .transform((at) => at.toISOString())

const shape = z
  .strictObject({
    topic: topicName,
    partition: partitionNumber.optional(),
    incarnation: z.int().min(1).max(MAX_INCARNATION).optional(),
    from: instant.optional(),
    to: instant.optional(),
    fromLeaf: offsetText.optional(),
    toLeaf: offsetText.optional(),
    reason: reasonText.optional(),
  })
  .superRefine((request, context) => {
    const { partition, from, to, fromLeaf, toLeaf } = request
    const complain = (path: string, message: string): void =>
      context.addIssue({ code: 'custom', path: [path], message })
    const ofLeaves = fromLeaf !== undefined || toLeaf !== undefined
    if (ofLeaves && (from !== undefined || to !== undefined))
      complain('fromLeaf', 'a range is of time or of leaves, not of both')
    if (ofLeaves && partition === undefined)
      complain('partition', 'is needed with a range of leaves: each log counts its own')
    if (from !== undefined && to !== undefined && from >= to) complain('to', 'must lie behind from')
    if (fromLeaf !== undefined && toLeaf !== undefined && BigInt(fromLeaf) >= BigInt(toLeaf))
      complain('toLeaf', 'must be greater than fromLeaf')
  })

/** Checks a request from outside. Every problem names its field; unknown fields are problems. */
export const parseArchiveRequest = (input: unknown): Parsed<ArchiveRequest> =>
  parseWith(shape as unknown as z.ZodType<ArchiveRequest>, input)

/** For people: `orders/3 from 2026-01-01T00:00:00.000Z`. */
export function nameOfArchive(request: ArchiveRequest): string {
  const { topic, partition, incarnation, from, to, fromLeaf, toLeaf } = request
  return [
    partition === undefined ? topic : `${topic}/${partition}`,
    ...(incarnation === undefined ? [] : [`incarnation ${incarnation}`]),
    ...(from === undefined ? [] : [`from ${from}`]),
    ...(to === undefined ? [] : [`before ${to}`]),
    ...(fromLeaf === undefined ? [] : [`from leaf ${fromLeaf}`]),
    ...(toLeaf === undefined ? [] : [`below leaf ${toLeaf}`]),
  ].join(' ')
}

const uuid = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i
const PREFIX = 'archive/'

export const workflowIdOfArchive = (id: string): string => `${PREFIX}${id}`

/** The UUID in a workflow id; null when it holds none. */
export function archiveIdOfWorkflowId(workflowId: string): string | null {
  const id = workflowId.slice(PREFIX.length)
  return workflowId.startsWith(PREFIX) && uuid.test(id) ? id.toLowerCase() : null
}
