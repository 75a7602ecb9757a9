import type { Offset } from '../domain/model.ts'
import { ServiceError } from '../errors.ts'
import type { EventLogWriter, LogState, TopicDirectory } from '../ports.ts'
import { requireClosed, standingOf } from './standing.ts'

export interface IncarnationDependencies {
  readonly writer: Pick<EventLogWriter, 'findLog' | 'openIncarnation'>
  readonly directory: TopicDirectory
  /** Of ingest. */
  readonly groupId: string
}

/** Each one means that somebody else decided, or the topic was made again, between question and answer. */
const ATTEMPTS = 3

/**
 * Opens the log after a closed one, at the log start of the topic that Kafka has at this moment. The old log stays as it
 * is; its lock makes sure that no append comes after this. Of two operators one opens, the other is told
 * LOG_NOT_CLOSED. Throws LOG_NOT_CLOSED, SOURCE_MISSING, KAFKA_UNAVAILABLE, DATABASE_UNAVAILABLE.
 */
export async function openIncarnation(deps: IncarnationDependencies, found: LogState): Promise<LogState> {
  const { writer, directory, groupId } = deps
  const { topic, partition } = found.identity
  const currentTopicId = () => directory.currentTopicId(topic, partition)
  let log = found
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    const { topicId } = requireClosed(log, await standingOf(directory, groupId, log))
    const startOffset = await logStart(directory, log, topicId)
    if (startOffset !== null) {
      const outcome = await writer.openIncarnation(log, { topicId, startOffset }, currentTopicId)
      if (outcome.kind === 'opened') return outcome.log
    }
    log = (await writer.findLog(topic, partition)) ?? log
  }
  throw new ServiceError(
    'KAFKA_UNAVAILABLE',
    `${topic}/${partition} changes while it is looked at: ask again`,
  )
}

/**
 * Where the topic's partition begins; null when its leader knows another topic. Topic ids never come back: the same id
 * before, here, and again before the new log is committed is the same topic all the while.
 */
async function logStart(
  directory: TopicDirectory,
  { identity: { topic, partition } }: LogState,
  topicId: string,
): Promise<Offset | null> {
  if ((await directory.currentTopicId(topic, partition)) !== topicId) return null
  return (await directory.bounds(topic, partition)).start
}
