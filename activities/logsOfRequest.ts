/** Which of the logs a request for a topic, a partition or an incarnation means. */
import type { VerificationRequest } from '../src/domain/verification/request.ts'
import { refuse } from './ranges.ts'

/** Null: nothing tells. */
export interface LogPlace {
  readonly topic: string | null
  readonly partition: number | null
  readonly incarnation: number | null
}

/** What is null is meant by no request that asks for it. Throws UNKNOWN_TOPIC, UNKNOWN_PARTITION. */
export function logsOfRequest<Log>(
  all: readonly Log[],
  placeOf: (log: Log) => LogPlace,
  { topic, partition, incarnation }: VerificationRequest,
): readonly Log[] {
  const ofTopic = topic === undefined ? all : all.filter((log) => placeOf(log).topic === topic)
  if (topic !== undefined && ofTopic.length === 0)
    throw refuse('UNKNOWN_TOPIC', 'topic', `nothing was ingested from ${topic}`)
  const ofPartition =
    partition === undefined ? ofTopic : ofTopic.filter((log) => placeOf(log).partition === partition)
  if (ofPartition.length === 0 && partition !== undefined)
    throw refuse('UNKNOWN_PARTITION', 'partition', `nothing was ingested from this partition of ${topic}`)
  const wanted =
    incarnation === undefined
      ? ofPartition
      : ofPartition.filter((log) => placeOf(log).incarnation === incarnation)
  if (wanted.length === 0 && incarnation !== undefined)
    throw refuse('UNKNOWN_PARTITION', 'incarnation', `there is no incarnation ${incarnation}`)
  return wanted
}
