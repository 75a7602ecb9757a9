import { setTimeout as sleep } from 'node:timers/promises'
import { gapLeaf } from '../domain/leaf.ts'
import type { GapEntry, LogPosition, Offset } from '../domain/model.ts'
import { isRetryable, ServiceError } from '../errors.ts'
import type { Logger } from '../logger.ts'
import type { EventLogWriter, LogState, TopicDirectory } from '../ports.ts'
import { appendRequest } from './append.ts'
import { type Closure, closureOf, commitsLost, topicRecreated } from './closure.ts'
import type { IngestObserver } from './observer.ts'
import { judgePosition } from './position.ts'
import { factsOf, isAhead } from './standing.ts'

export interface OpenDependencies {
  readonly writer: EventLogWriter
  readonly directory: TopicDirectory
  readonly observer: IngestObserver
  readonly groupId: string
  readonly log: Logger
}

export type Opened =
  /** `ahead`: what the group has committed, where that is more than the log holds; null where it is not. */
  | { readonly kind: 'open'; readonly log: LogState; readonly ahead: Offset | null }
  | ({ readonly kind: 'closed' } & Closure)

/**
 * The newest log of a source partition, opened if there is none, and held against what Kafka has now. A gap is recorded
 * before anything after it is taken. Closed: what cannot get better by waiting, TOPIC_RECREATED, SOURCE_TRUNCATED and
 * COMMITS_LOST first of all. Throws KAFKA_UNAVAILABLE and DATABASE_UNAVAILABLE (try again).
 */
export async function openSourceLog(
  deps: OpenDependencies,
  topic: string,
  partition: number,
): Promise<Opened> {
  const seen = await look(deps, topic, partition)
  const log = seen.log ?? (await openNewLog(deps, topic, partition))
  if (isMirrored(seen.mirrored) && isAhead(seen.mirrored, log))
    warnOfLostCommits(deps.log, seen.mirrored, log)
  const first = await judge(deps, log, seen.mirrored)
  if (first.kind === 'open') return first
  await sleep(judgeAgainMs)
  const again = await look(deps, topic, partition)
  return judge(deps, again.log ?? log, again.mirrored)
}

/** The offset of the group, null where there is none; or that nobody could be asked in time. */
type Mirrored = Offset | null | 'unknown'
const isMirrored = (mirrored: Mirrored): mirrored is Offset => typeof mirrored === 'bigint'

/** The group before the log's row: it follows the log, so what it has committed by now the log must have. */
async function look(
  deps: OpenDependencies,
  topic: string,
  partition: number,
): Promise<{ readonly mirrored: Mirrored; readonly log: LogState | null }> {
  const mirrored = await mirroredOffset(deps, topic, partition)
  return { mirrored, log: await deps.writer.findLog(topic, partition) }
}

/**
 * A log is closed when Kafka says the same twice: a node that was frozen, or cut off from the others, wakes up as the leader
 * that it was, and tells of the ends and of the topic that it knew, until it hears that others have gone on.
 */
const judgeAgainMs = 2_000

async function judge(deps: OpenDependencies, log: LogState, mirrored: Mirrored): Promise<Opened> {
  try {
    return await holdAgainstKafka(deps, log, mirrored)
  } catch (error) {
    if (!(error instanceof ServiceError) || isRetryable(error.code)) throw error
    return { kind: 'closed', ...closureOf(log, error) }
  }
}

/** Mostly for a warning; whoever opens a log does not wait long for it. */
const mirrorLimitMs = 1_000

async function mirroredOffset(
  { directory, groupId, log }: OpenDependencies,
  topic: string,
  partition: number,
): Promise<Mirrored> {
  const asked = directory.groupOffset(groupId, topic, partition).catch((error: unknown): Mirrored => {
    log.debug('the offset of the group cannot be compared with the log', { topic, partition, error })
    return 'unknown'
  })
  return Promise.race([asked, sleep<Mirrored>(mirrorLimitMs, 'unknown', { ref: false })])
}

function warnOfLostCommits(log: Logger, mirrored: Offset, { identity, position }: LogState): void {
  log.warn('the group is ahead of the log: PostgreSQL lost what it had committed, and it is ingested again', {
    topic: identity.topic,
    partition: identity.partition,
    groupOffset: String(mirrored),
    nextOffset: String(position.nextOffset),
  })
}

async function holdAgainstKafka(deps: OpenDependencies, log: LogState, mirrored: Mirrored): Promise<Opened> {
  const { topic, partition } = log.identity
  const ahead = isMirrored(mirrored) && isAhead(mirrored, log) ? mirrored : null
  const facts = await factsOf(deps.directory, log, ahead)
  if (facts === null) throw new ServiceError('KAFKA_UNAVAILABLE', `${topic}/${partition} does not exist now`)
  const verdict = judgePosition(log.identity, log.position.nextOffset, facts)
  switch (verdict.kind) {
    case 'continue':
      return { kind: 'open', log, ahead }
    case 'recreated':
      throw topicRecreated(log.identity, verdict.topicId)
    case 'truncated':
      throw new ServiceError(
        'SOURCE_TRUNCATED',
        `${topic}/${partition}: Kafka ends at offset ${verdict.end}, the log has taken everything below ` +
          `${log.position.nextOffset}`,
      )
    case 'lost':
      throw commitsLost(log, verdict)
    case 'gap':
      // A gap in the place of lost records would be for ever.
      if (mirrored === 'unknown')
        throw new ServiceError('KAFKA_UNAVAILABLE', `${topic}/${partition}: the group's offset is not known`)
      return { kind: 'open', log: { ...log, position: await recordGap(deps, log, verdict.to) }, ahead }
    default:
      return verdict satisfies never
  }
}

async function openNewLog(
  { writer, directory }: OpenDependencies,
  topic: string,
  partition: number,
): Promise<LogState> {
  const description = await directory.describe(topic)
  if (description === null) throw new ServiceError('KAFKA_UNAVAILABLE', `topic ${topic} does not exist now`)
  const { topicId } = description
  const { start } = await directory.bounds(topic, partition)
  return await writer.openLog({ topic, partition, topicId }, start, -1)
}

async function recordGap(deps: OpenDependencies, log: LogState, to: Offset): Promise<LogPosition> {
  const from = log.position.nextOffset
  const gap: GapEntry = { kind: 'gap', from, to, leaf: gapLeaf(from, to) }
  const request = appendRequest(log, log.position, [gap], to, log.leaderEpoch)
  const { topic, partition } = log.identity
  const outcome = await deps.writer.append(await deps.writer.prepare(request), () =>
    deps.directory.currentTopicId(topic, partition),
  )
  if (outcome.kind !== 'appended') {
    throw new ServiceError(
      'DATABASE_UNAVAILABLE',
      `${topic}/${partition}: the log moved while a gap was recorded`,
    )
  }
  deps.observer.gap(log.identity, from, to)
  return request.next
}
