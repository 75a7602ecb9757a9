import type { Logger } from '../logger.ts'
import type { EventLogWriter } from '../ports.ts'
import { TopicIngest, type TopicIngestDependencies } from './topic.ts'
import { untilAvailable } from './wait.ts'

/** Day partitions of the log are made ahead this often; an append that meets a missing one makes it too. */
const ensurePartitionsMs = 6 * 3_600_000

export interface Ingest {
  /** Leaves the groups after appends in flight have finished. */
  stop(): Promise<void>
}

/** Starts ingest of every topic, each by itself: one that is missing or broken holds up no other. */
export function startIngest(topics: readonly string[], deps: TopicIngestDependencies): Ingest {
  const stopped = new AbortController()
  void keepPartitions(deps.writer, deps.log, stopped.signal)
  const timer = setInterval(
    () => void keepPartitions(deps.writer, deps.log, stopped.signal),
    ensurePartitionsMs,
  )
  const running = topics.map((topic) => new TopicIngest(topic, deps))
  for (const topic of running) topic.start()
  return {
    stop: async () => {
      clearInterval(timer)
      stopped.abort()
      await Promise.all(running.map((topic) => topic.stop()))
    },
  }
}

async function keepPartitions(writer: EventLogWriter, log: Logger, signal: AbortSignal): Promise<void> {
  try {
    await untilAvailable(
      () => writer.ensurePartitions(),
      (error) => log.warn('day partitions of the log wait for the database', { error }),
      signal,
    )
  } catch (error) {
    if (!signal.aborted) log.error('day partitions of the log could not be made', { error })
  }
}
