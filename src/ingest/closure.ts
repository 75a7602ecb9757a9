import { setTimeout as sleep } from 'node:timers/promises'
import type { LogIdentity, Offset } from '../domain/model.ts'
import { type ErrorCode, ServiceError } from '../errors.ts'
import type { EventLogWriter, LogState } from '../ports.ts'
import { untilAvailable } from './wait.ts'

/** Why a log takes nothing more. */
export interface Closure {
  readonly log: LogState
  readonly code: ErrorCode
  /** Names the command that helps, where there is one. */
  readonly detail: string
  readonly error: ServiceError
}

/** How soon a new incarnation is noticed; one small query for each closed log. */
const lookAgainMs = 1_000

/**
 * The command that opens a new log where this one fails closed; null where that is not what helps. Topic names hold
 * nothing that a shell would read otherwise.
 */
export const remedyFor = (code: ErrorCode, topic: string, partition: number): string | null =>
  code === 'TOPIC_RECREATED' || code === 'SOURCE_TRUNCATED' || code === 'COMMITS_LOST'
    ? `pnpm log open-incarnation --topic ${topic} --partition ${partition}`
    : null

/** Closes a log for a reason that trying again does not mend. */
export function closureOf(log: LogState, error: ServiceError): Closure {
  const { code, message } = error
  const remedy = remedyFor(code, log.identity.topic, log.identity.partition)
  const detail = remedy === null ? message : `${message}; to go on in a new log: ${remedy}`
  return { log, code, detail, error }
}

/** What `judgePosition` calls lost. */
export const commitsLost = (
  { identity: { topic, partition }, position: { nextOffset } }: LogState,
  { committed, start }: { readonly committed: Offset; readonly start: Offset },
): ServiceError =>
  new ServiceError(
    'COMMITS_LOST',
    `${topic}/${partition}: the database has lost what it had taken from offset ${nextOffset} to ${committed}, and Kafka has ` +
      `nothing below ${start} any more; recover it from an archive or a newer backup`,
  )

export const topicRecreated = ({ topic, partition, topicId }: LogIdentity, current: string): ServiceError =>
  new ServiceError(
    'TOPIC_RECREATED',
    `${topic}/${partition}: Kafka's topic id is ${current}, the log was taken from ${topicId}`,
  )

/**
 * Resolves when the closed log is not what it was when it was judged: an operator has opened a newer incarnation
 * (`superseded`), or the database was put back to before the log came so far (`restored`). Rejects when `signal` aborts.
 */
export async function untilChanged(
  writer: Pick<EventLogWriter, 'findLog'>,
  closed: LogState,
  onWait: (error: ServiceError | null) => void,
  signal: AbortSignal,
): Promise<'superseded' | 'restored'> {
  const { identity, incarnation } = closed
  for (;;) {
    await sleep(lookAgainMs, undefined, { signal })
    let waited = false
    const newest = await untilAvailable(
      () => writer.findLog(identity.topic, identity.partition),
      (error) => {
        waited = true
        onWait(error)
      },
      signal,
    )
    if (waited) onWait(null)
    if (newest !== null && newest.incarnation > incarnation) return 'superseded'
    if (newest === null || !isSameState(newest, closed)) return 'restored'
  }
}

const isSameState = (a: LogState, b: LogState): boolean =>
  a.logId === b.logId &&
  a.position.nextOffset === b.position.nextOffset &&
  a.position.size === b.position.size
