/**
 * What may be asked of a replay: the body of `POST /replay` and the input of the workflow `replay`, checked at both
 * doors. Free of Node's modules, since workflows import it.
 */
import { z } from 'zod'
import type { ReplayRequest } from './replay.ts'
import { defaultTargetTopic } from './replayId.ts'
import {
  offsetText,
  type Parsed,
  parseWith,
  partitionNumber,
  type RequestProblem,
  topicName,
  uuidText,
} from './requestFields.ts'

export const MAX_FILTER_ENTRIES = 1_000
/** As long as an event's type, source or tenant can be: a longer entry would match nothing. */
const MAX_FILTER_LENGTH = 256

const filterList = z
  .array(
    z.string().min(1).max(MAX_FILTER_LENGTH).refine(isStorable, 'must be well-formed text without U+0000'),
  )
  .max(MAX_FILTER_ENTRIES)

function isStorable(text: string): boolean {
  return text.isWellFormed() && !text.includes('\u0000')
}

const shape = z.strictObject({
  topic: topicName,
  checkpointId: uuidText.optional(),
  partition: partitionNumber.optional(),
  fromOffset: offsetText.optional(),
  toOffset: offsetText.optional(),
  targetTopic: topicName.optional(),
  filters: z
    .strictObject({
      eventTypes: filterList.optional(),
      sources: filterList.optional(),
      tenantIds: filterList.optional(),
    })
    .optional(),
})

/** What no single field can tell; asked only of requests whose fields are all right. */
function problemsBetween(request: ReplayRequest): RequestProblem[] {
  const { topic, checkpointId, fromOffset, toOffset, targetTopic } = request
  const problems: RequestProblem[] = []
  const problem = (path: string, message: string) => problems.push({ path, message })
  if (checkpointId !== undefined) {
    if (fromOffset !== undefined) problem('fromOffset', 'a checkpoint and a range exclude each other')
    if (toOffset !== undefined) problem('toOffset', 'a checkpoint and a range exclude each other')
  } else if (toOffset !== undefined && BigInt(toOffset) <= BigInt(fromOffset ?? '0')) {
    problem('toOffset', 'must be greater than fromOffset: the range holds no offset')
  }
  if (targetTopic === topic) problem('targetTopic', 'must not be the source topic')
  if (targetTopic === undefined && !topicName.safeParse(defaultTargetTopic(topic)).success)
    problem('targetTopic', 'is needed: the default name would be too long for a topic')
  return problems
}

/** Checks a request from outside. Every problem names its field; unknown fields are problems. */
export function parseReplayRequest(input: unknown): Parsed<ReplayRequest> {
  const parsed = parseWith(shape as z.ZodType<ReplayRequest>, input)
  if (!parsed.ok) return parsed
  const problems = problemsBetween(parsed.value)
  return problems.length === 0 ? parsed : { ok: false, problems }
}

/**
 * The same request in one form, so that equal wishes compare equal: default target written out, filter lists sorted
 * without repeats, empty ones left out, members in a fixed order.
 */
export function normaliseReplayRequest(
  request: ReplayRequest,
): ReplayRequest & { readonly targetTopic: string } {
  const { topic, checkpointId, partition, fromOffset, toOffset, filters } = request
  const eventTypes = normaliseList(filters?.eventTypes)
  const sources = normaliseList(filters?.sources)
  const tenantIds = normaliseList(filters?.tenantIds)
  const hasFilters = eventTypes !== null || sources !== null || tenantIds !== null
  return {
    topic,
    ...(checkpointId !== undefined && { checkpointId }),
    ...(partition !== undefined && { partition }),
    ...(fromOffset !== undefined && { fromOffset }),
    ...(toOffset !== undefined && { toOffset }),
    targetTopic: request.targetTopic ?? defaultTargetTopic(topic),
    ...(hasFilters && {
      filters: {
        ...(eventTypes !== null && { eventTypes }),
        ...(sources !== null && { sources }),
        ...(tenantIds !== null && { tenantIds }),
      },
    }),
  }
}

function normaliseList(list: readonly string[] | undefined): readonly string[] | null {
  return list === undefined || list.length === 0 ? null : [...new Set(list)].sort()
}

/** True when both ask for the same replay. */
export const sameReplayRequest = (left: ReplayRequest, right: ReplayRequest): boolean =>
  JSON.stringify(normaliseReplayRequest(left)) === JSON.stringify(normaliseReplayRequest(right))
