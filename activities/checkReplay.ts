/** Whether a replay can be made, without making anything: for the API before it starts one, and for the plan itself. */
import { offset } from '../src/domain/model.ts'
import type { EventFilters, ReplayRequest } from '../src/domain/replay.ts'
import { defaultTargetTopic } from '../src/domain/replayId.ts'
import type { EventLogReader, LogRangeCount, TopicDescription, TopicDirectory } from '../src/ports.ts'
import { type LogRange, type RangeSources, refuse, resolveRanges } from './ranges.ts'
import { addedHeaderBytes } from './replayHeaders.ts'
import { judgeTarget, needsOf, type TargetNeeds } from './targetChecks.ts'

export interface CheckDependencies extends RangeSources {
  readonly topics: Pick<TopicDirectory, 'describe' | 'config'>
  readonly settings: { readonly createTargets: boolean; readonly ingestedTopics: readonly string[] }
  readonly now: () => number
}

export interface CountedRange extends LogRange {
  readonly count: LogRangeCount
}

export interface CheckedReplay {
  readonly targetTopic: string
  /** Null when it is still to be created. */
  readonly target: TopicDescription | null
  readonly ranges: readonly CountedRange[]
  readonly needs: TargetNeeds
}

/** Counts in flight: each is a scan of a range. */
const COUNTS_AT_ONCE = 2
/** Offsets; some tenths of a second. */
const COUNT_STEP = 500_000n

/**
 * Throws ServiceError with the field at fault: UNKNOWN_TOPIC, UNKNOWN_PARTITION, RANGE_EMPTY, OFFSET_NOT_INGESTED,
 * CHECKPOINT_*, TARGET_IS_SOURCE, TARGET_INGESTED, TARGET_MISSING, TARGET_TOO_FEW_PARTITIONS, TARGET_LOG_APPEND_TIME,
 * TARGET_COMPACTED, TARGET_MESSAGE_SIZE, TARGET_RETENTION; and DATABASE_UNAVAILABLE, KAFKA_UNAVAILABLE.
 */
export async function checkReplay(
  deps: CheckDependencies,
  replayId: string,
  request: ReplayRequest,
  signal?: AbortSignal,
): Promise<CheckedReplay> {
  const targetTopic = request.targetTopic ?? defaultTargetTopic(request.topic)
  const ranges = await resolveRanges(deps, request)
  await checkTargetName(deps, request.topic, targetTopic)
  const target = await deps.topics.describe(targetTopic, signal)
  if (target === null && !deps.settings.createTargets)
    throw refuse(
      'TARGET_MISSING',
      'targetTopic',
      `the topic ${targetTopic} does not exist and is not to be created`,
    )

  // Whatever does not need the events themselves is judged before they are counted.
  const partitions = ranges.map(({ log }) => ({ partition: log.identity.partition, count: nothing }))
  const config = target === null ? null : await deps.topics.config(targetTopic)
  const judge = (needs: TargetNeeds): void => {
    const refusal = target === null || config === null ? null : judgeTarget(target, config, needs, deps.now())
    if (refusal !== null) throw refuse(refusal.code, 'targetTopic', refusal.message)
  }
  judge(needsOf(partitions, 0))
  const counted = await countRanges(deps, ranges, request, signal)
  const needs = needsOf(
    counted.map(({ log, count }) => ({ partition: log.identity.partition, count })),
    Math.max(0, ...counted.map(({ log }) => addedHeaderBytes({ replayId, ...log.identity }))),
  )
  judge(needs)
  return { targetTopic, target, ranges: counted, needs }
}

const nothing: LogRangeCount = { planned: 0n, total: 0n, minTimestamp: null, maxRecordBytes: 0 }

/** A topic that ingest reads, now or before, would take its own events in again. */
async function checkTargetName(deps: CheckDependencies, topic: string, targetTopic: string): Promise<void> {
  if (targetTopic === topic) throw refuse('TARGET_IS_SOURCE', 'targetTopic', 'must not be the source topic')
  const ingested = deps.settings.ingestedTopics.includes(targetTopic)
  if (ingested || (await deps.log.logsOf(targetTopic)).length > 0)
    throw refuse('TARGET_INGESTED', 'targetTopic', `the topic ${targetTopic} is read by ingest`)
}

async function countRanges(
  deps: CheckDependencies,
  ranges: readonly LogRange[],
  request: ReplayRequest,
  signal: AbortSignal | undefined,
): Promise<readonly CountedRange[]> {
  const counts: LogRangeCount[] = ranges.map(() => nothing)
  const queue = ranges.entries()
  const worker = async (): Promise<void> => {
    for (const [index, range] of queue)
      counts[index] = await countRange(deps.log, range, request.filters ?? {}, signal)
  }
  await Promise.all(Array.from({ length: COUNTS_AT_ONCE }, worker))
  return ranges.map((range, index) => ({ ...range, count: counts[index] ?? nothing }))
}

/** In steps, so that a cancellation is heard. */
async function countRange(
  reader: EventLogReader,
  { log, from, to }: LogRange,
  filters: EventFilters,
  signal: AbortSignal | undefined,
): Promise<LogRangeCount> {
  let count = nothing
  for (let at: bigint = from; at < to; at += COUNT_STEP) {
    signal?.throwIfAborted()
    const end = at + COUNT_STEP < to ? at + COUNT_STEP : to
    count = sum(count, await reader.countRange(log.logId, offset(at), offset(end), filters))
  }
  return count
}

const sum = (left: LogRangeCount, right: LogRangeCount): LogRangeCount => ({
  planned: left.planned + right.planned,
  total: left.total + right.total,
  minTimestamp: earlier(left.minTimestamp, right.minTimestamp),
  maxRecordBytes: Math.max(left.maxRecordBytes, right.maxRecordBytes),
})

function earlier(left: bigint | null, right: bigint | null): bigint | null {
  if (left === null || right === null) return left ?? right
  return left < right ? left : right
}
