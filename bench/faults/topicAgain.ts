import { setTimeout as sleep } from 'node:timers/promises'
import { createTopic } from '../run/topics.ts'
import type { LoadedTopic } from './loadedTopic.ts'
import type { Stage } from './stage.ts'
import { until } from './waiting.ts'

const goneLimitMs = 30_000

/** Deletes the topic; resolves when the brokers know it no more. */
export async function deleteTopic({ world, roles }: Stage, topic: string): Promise<void> {
  await world.admin.deleteTopics({ topics: [topic] })
  const isGone = async (): Promise<true | null> =>
    (await world.admin.listTopics()).includes(topic) ? null : true
  await until(isGone, roles.waiting(`the topic ${topic} to be gone`, goneLimitMs))
}

export interface Refill {
  /** For how long there is no such topic, at most. */
  readonly longestAbsenceMs: number
  /** Whether it ends beyond the offsets that the old one had. */
  readonly beyond: boolean
}

const recordsPerBatch = 40

/** Makes a deleted topic again, under its name, and fills every partition; its load and its score begin anew. */
export async function makeAgain(
  { world, context }: Stage,
  topic: LoadedTopic,
  { longestAbsenceMs, beyond }: Refill,
): Promise<void> {
  const { ends } = topic.score()
  const { random, signal } = context
  if (longestAbsenceMs > 0) await sleep(random.below(longestAbsenceMs), undefined, { signal })
  await createTopic(world.admin, topic.name, topic.partitions, { 'retention.ms': '-1' })
  await topic.beginAgain()
  const batches = Math.ceil(Math.max(...ends) / recordsPerBatch)
  const perPartition = beyond
    ? batches + 1 + random.below(4)
    : 1 + random.below(Math.max(1, Math.floor(batches / 2)))
  await topic.load.produceBatches(perPartition * topic.partitions)
}
