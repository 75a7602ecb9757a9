import { setTimeout as sleep } from 'node:timers/promises'
import type { Admin } from 'kafkajs'
import type { Client } from 'pg'
import type { Sample } from './rate.ts'
import { isStillBeingMade } from './topics.ts'

/** Source records that the log has taken, dead letters included. */
export async function countLogged(client: Client): Promise<number> {
  const { rows } = await client.query<{ size: string }>(
    'select coalesce(sum(size), 0) as size from partition_logs',
  )
  return Number(rows[0]?.size ?? 0)
}

/**
 * Counts the offsets that a topic holds: records, and one marker per transaction and partition. 0 for a topic that
 * does not exist yet.
 */
export function offsetCounter(admin: Admin, topic: string): () => Promise<number> {
  let exists = false
  return async () => {
    exists ||= (await admin.listTopics()).includes(topic)
    if (!exists) return 0
    try {
      const partitions = await admin.fetchTopicOffsets(topic)
      return partitions.reduce((sum, { high }) => sum + Number(high), 0)
    } catch (error) {
      if (isStillBeingMade(error)) return 0
      throw error
    }
  }
}

export interface Watch {
  /** How often to look. */
  readonly everyMs: number
  /** Without growth for this long: fail. */
  readonly patienceMs: number
  /** What is waited for, for the error. */
  readonly what: string
  readonly signal: AbortSignal
  /** Called with each sample. */
  onSample(sample: Sample): void
  /** Throws when going on waiting is pointless. */
  check(): void
}

/** Looks until the count has reached `goal`; returns the last sample. */
export async function watchUntil(
  count: () => Promise<number>,
  goal: number,
  { everyMs, patienceMs, what, signal, onSample, check }: Watch,
): Promise<Sample> {
  let last: Sample = { atMs: performance.now(), count: -1 }
  for (;;) {
    const sample = { count: await count(), atMs: performance.now() }
    onSample(sample)
    if (sample.count >= goal) return sample
    check()
    if (sample.count > last.count) last = sample
    else if (sample.atMs - last.atMs > patienceMs)
      throw new Error(`${what}: stuck at ${last.count} of ${goal} for ${patienceMs / 1000} s`)
    await sleep(everyMs, undefined, { signal })
  }
}
