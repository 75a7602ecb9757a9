import type { Offset } from '../domain/model.ts'
import { type ErrorCode, ServiceError } from '../errors.ts'
import type { LogState, TopicDirectory } from '../ports.ts'
import { judgePosition, type PositionVerdict, type SourceFacts } from './position.ts'

/** How a newest log stands against its source now. `missing`: the topic, or this partition of it, is not there. */
export type Standing =
  | (Exclude<PositionVerdict, { kind: 'recreated' | 'truncated' | 'lost' }> | { readonly kind: 'missing' })
  | Closed

interface Closed {
  readonly kind: 'closed'
  readonly code: Extract<ErrorCode, 'TOPIC_RECREATED' | 'SOURCE_TRUNCATED' | 'COMMITS_LOST'>
  /** The topic that Kafka has now. */
  readonly topicId: string
}

/**
 * What Kafka has now where the log was taken from; null when there is no such topic, or no such partition of it. Read the
 * log first: what another process appends meanwhile would look like truncation otherwise. Throws KAFKA_UNAVAILABLE.
 */
export async function factsOf(
  directory: TopicDirectory,
  log: LogState,
  committed: Offset | null,
): Promise<SourceFacts | null> {
  const { topic, partition } = log.identity
  const description = await directory.describe(topic)
  const known = description?.partitions.some((candidate) => candidate.partition === partition) ?? false
  if (description === null || !known) return null
  const bounds = await directory.bounds(topic, partition)
  const epochEnd = log.leaderEpoch < 0 ? null : await directory.epochEnd(topic, partition, log.leaderEpoch)
  return { topicId: description.topicId, epochEnd, committed, ...bounds }
}

/** Judges a log as ingest does when it opens it. Throws KAFKA_UNAVAILABLE. */
export async function standingOf(
  directory: TopicDirectory,
  groupId: string,
  log: LogState,
): Promise<Standing> {
  const facts = await factsOf(directory, log, null)
  if (facts === null) return { kind: 'missing' }
  const { topicId } = facts
  const verdict = await judgeFully(directory, groupId, log, facts)
  if (verdict.kind === 'recreated') return { kind: 'closed', code: 'TOPIC_RECREATED', topicId }
  if (verdict.kind === 'truncated') return { kind: 'closed', code: 'SOURCE_TRUNCATED', topicId }
  if (verdict.kind === 'lost') return { kind: 'closed', code: 'COMMITS_LOST', topicId }
  return verdict
}

/** What the group has committed counts only where there is a gap; without one it is not asked for. */
async function judgeFully(
  directory: TopicDirectory,
  groupId: string,
  log: LogState,
  facts: SourceFacts,
): Promise<PositionVerdict> {
  const { topic, partition } = log.identity
  const verdict = judgePosition(log.identity, log.position.nextOffset, facts)
  if (verdict.kind !== 'gap') return verdict
  const committed = await directory.groupOffset(groupId, topic, partition)
  return committed !== null && isAhead(committed, log)
    ? judgePosition(log.identity, log.position.nextOffset, { ...facts, committed })
    : verdict
}

/** A new incarnation begins before the old one's end, which the group still tells of. */
export const isAhead = (committed: Offset, { incarnation, position }: LogState): boolean =>
  committed > position.nextOffset && !(incarnation > 1 && position.size === 0n)

/** Throws LOG_NOT_CLOSED, SOURCE_MISSING. */
export function requireClosed({ identity, position, incarnation }: LogState, standing: Standing): Closed {
  const { topic, partition } = identity
  if (standing.kind === 'closed') return standing
  if (standing.kind === 'missing')
    throw new ServiceError('SOURCE_MISSING', `Kafka has no ${topic}/${partition} now: a log needs a source`)
  throw new ServiceError(
    'LOG_NOT_CLOSED',
    `${topic}/${partition} goes on in incarnation ${incarnation}: Kafka has the same topic and all that follows ` +
      `offset ${position.nextOffset}`,
  )
}
