import { setTimeout as sleep } from 'node:timers/promises'
import type { Producer } from 'kafkajs'
import { makeEvent } from '../source/event.ts'
import type { Ledger } from './ledger.ts'
import type { LoadOptions } from './options.ts'

/** Batches sent and not acknowledged; beyond that the sender waits, and its lateness counts as latency. */
const mostInFlight = 500

export interface Production {
  readonly sent: number
  readonly startedMs: number
}

/**
 * Sends a batch whenever one is due, whether or not earlier ones were acknowledged (open loop), and resolves when all
 * were. Rejects with the first failure.
 */
export async function produceAtRate(
  producer: Producer,
  options: LoadOptions,
  { partitions, seed }: { readonly partitions: readonly number[]; readonly seed: number },
  ledger: Ledger,
  signal: AbortSignal,
): Promise<Production> {
  const { topic, eventsPerSecond, seconds, batchSize } = options
  const total = eventsPerSecond * seconds
  const startedMs = performance.now()
  const inFlight = new Set<Promise<void>>()
  let failure: Error | null = null
  let sent = 0
  for (let batch = 0; sent < total && failure === null && !signal.aborted; batch++) {
    const dueMs = startedMs + (sent / eventsPerSecond) * 1000
    const events = Math.min(batchSize, total - sent)
    await untilDue(dueMs)
    const partition = partitions[batch % partitions.length] ?? 0
    const send = sendBatch(producer, topic, partition, { seed, first: sent, events })
      .then((offset) => ledger.acknowledge(partition, offset, { events, dueMs }, performance.now()))
      .catch((error: Error) => {
        failure ??= error
      })
      .finally(() => inFlight.delete(send))
    inFlight.add(send)
    sent += events
    if (inFlight.size >= mostInFlight) await Promise.race(inFlight)
  }
  await Promise.all(inFlight)
  if (failure !== null) throw failure
  return { sent, startedMs }
}

/** Timers have a resolution of a millisecond: what is due by then is sent without one. */
async function untilDue(dueMs: number): Promise<void> {
  const waitMs = dueMs - performance.now()
  if (waitMs > 1) await sleep(waitMs)
}

interface Slice {
  readonly seed: number
  readonly first: number
  readonly events: number
}

/** Returns the offset of the first of them. */
async function sendBatch(
  producer: Producer,
  topic: string,
  partition: number,
  { seed, first, events }: Slice,
): Promise<number> {
  const timestamp = Date.now()
  const messages = Array.from({ length: events }, (_, index) => {
    const event = { ...makeEvent(seed, first + index), timestamp }
    delete event.provenance
    return {
      partition,
      key: String(event.data['orderId']),
      value: JSON.stringify(event),
      timestamp: String(timestamp),
      headers: { 'event-type': event.type },
    }
  })
  const [answer] = await producer.send({ topic, messages, acks: -1 })
  if (answer?.baseOffset === undefined || answer.partition !== partition)
    throw new Error(`Kafka did not say where a batch for partition ${partition} went`)
  return Number(answer.baseOffset)
}
