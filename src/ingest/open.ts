import { gapLeaf } from '../domain/leaf.ts'
import type { GapEntry, LogPosition, Offset } from '../domain/model.ts'
import { ServiceError } from '../errors.ts'
import type { EventLogWriter, LogState, TopicDescription, TopicDirectory } from '../ports.ts'
import { appendRequest } from './append.ts'
import type { IngestObserver } from './observer.ts'
import { judgePosition } from './position.ts'

export interface OpenDependencies {
  readonly writer: EventLogWriter
  readonly directory: TopicDirectory
  readonly observer: IngestObserver
}

/**
 * The log of a source partition, opened if it is new, and held against what Kafka has now. A gap is recorded before
 * anything after it is taken. Throws TOPIC_RECREATED and SOURCE_TRUNCATED (final), KAFKA_UNAVAILABLE and
 * DATABASE_UNAVAILABLE (try again).
 */
export async function openSourceLog(
  deps: OpenDependencies,
  topic: string,
  partition: number,
): Promise<LogState> {
  const { writer, directory } = deps
  // The log before Kafka: were Kafka asked first, what another writer appended meanwhile would look like truncation.
  const log = (await writer.findLog(topic, partition)) ?? (await openNewLog(deps, topic, partition))
  const description = await describe(directory, topic)
  const bounds = await directory.bounds(topic, partition)
  const epochEnd = log.leaderEpoch < 0 ? null : await directory.epochEnd(topic, partition, log.leaderEpoch)
  const verdict = judgePosition(log.identity, log.position.nextOffset, {
    topicId: description.topicId,
    epochEnd,
    ...bounds,
  })
  switch (verdict.kind) {
    case 'continue':
      return log
    case 'recreated':
      throw new ServiceError(
        'TOPIC_RECREATED',
        `${topic}/${partition}: Kafka's topic id is ${verdict.topicId}, the log was taken from ${log.identity.topicId}`,
      )
    case 'truncated':
      throw new ServiceError(
        'SOURCE_TRUNCATED',
        `${topic}/${partition}: Kafka ends at offset ${verdict.end}, the log has taken everything below ` +
          `${log.position.nextOffset}`,
      )
    case 'gap':
      return { ...log, position: await recordGap(deps, log, verdict.to) }
  }
}

async function openNewLog(
  { writer, directory }: OpenDependencies,
  topic: string,
  partition: number,
): Promise<LogState> {
  const { topicId } = await describe(directory, topic)
  const { start } = await directory.bounds(topic, partition)
  return await writer.openLog({ topic, partition, topicId }, start, -1)
}

async function describe(directory: TopicDirectory, topic: string): Promise<TopicDescription> {
  const description = await directory.describe(topic)
  if (description === null) throw new ServiceError('KAFKA_UNAVAILABLE', `topic ${topic} does not exist now`)
  return description
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
