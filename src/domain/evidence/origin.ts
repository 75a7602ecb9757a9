/**
 * The origin of a log: the first line of its checkpoints, by which verifiers and witnesses know it.
 *
 *     <instance>/<topic>/<partition>/<topic id>                            the first log of a partition, from offset 0
 *     <instance>/<topic>/<partition>/<topic id>/<incarnation>@<offset>    any other one, and the offset at which it begins
 *
 * The incarnation counts because a topic that was cut back below its log goes on in a new log under the same topic
 * id. The offset counts because a log that is made again without what was known of it, in an empty database or in one that was
 * put back to an older backup, begins where Kafka begins by then. Two logs of one origin would look like one log that
 * was rewritten.
 */
import { isKeyName } from './noteKeys.ts'

export interface LogOrigin {
  /** Name of the installation, such as `example.com/ingest`; also the name of the key that signs for it. */
  readonly instance: string
  readonly topic: string
  readonly partition: number
  /** Kafka's UUID, lower case, with dashes. */
  readonly topicId: string
  /** From 1. */
  readonly incarnation: number
  /** At which it begins. */
  readonly startOffset: bigint
}

/** What of an origin is the log's own. */
export type LogName = Omit<LogOrigin, 'instance'>

/** Of a log as the store has it. */
export const nameOf = (log: {
  readonly identity: Pick<LogOrigin, 'topic' | 'partition' | 'topicId'>
  readonly incarnation: number
  readonly startOffset: bigint
}): LogName => {
  const { topic, partition, topicId } = log.identity
  return { topic, partition, topicId, incarnation: log.incarnation, startOffset: log.startOffset }
}

const MAX_INSTANCE_LENGTH = 200

/** What can stand before a slash in an origin and name a key: 1 to 200 characters, without spaces, plus and outer slashes. */
export const isInstanceName = (name: string): boolean =>
  name.length <= MAX_INSTANCE_LENGTH && isKeyName(name) && !name.startsWith('/') && !name.endsWith('/')

/** Throws RangeError for an instance name that would make no origin. */
export function formatOrigin(origin: LogOrigin): string {
  const { instance, topic, partition, topicId, incarnation, startOffset } = origin
  if (!isInstanceName(instance)) throw new RangeError('this cannot be the name of an installation')
  const first = `${instance}/${topic}/${partition}/${topicId}`
  return incarnation === 1 && startOffset === 0n ? first : `${first}/${incarnation}@${startOffset}`
}

const pattern =
  /^(.+)\/([a-zA-Z0-9._-]{1,249})\/(0|[1-9]\d{0,9})\/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?:\/([1-9]\d{0,9})@(0|[1-9]\d{0,18}))?$/

/** Inverse of `formatOrigin`; null for an origin that is none of ours. */
export function parseOrigin(origin: string): LogOrigin | null {
  const [, instance = '', topic = '', partition, topicId = '', incarnation, start] =
    pattern.exec(origin) ?? []
  const parsed = {
    instance,
    topic,
    partition: Number(partition),
    topicId,
    incarnation: Number(incarnation ?? 1),
    startOffset: BigInt(start ?? 0),
  }
  return isInstanceName(instance) && formatOrigin(parsed) === origin ? parsed : null
}

/** Whether a key of this name may sign for the origin unless told otherwise: it is the origin, or stands above it. */
export const isAnsweredBy = (origin: string, keyName: string): boolean =>
  origin === keyName || origin.startsWith(`${keyName}/`)
