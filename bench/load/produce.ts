import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import { makeEvent, type SourceRecord } from '../source/event.ts'
import type { BatchProducer } from '../source/producer.ts'
import { RecordBatchEncoder } from '../source/recordBatch.ts'
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
  producer: BatchProducer,
  options: LoadOptions,
  seed: number,
  ledger: Ledger,
  signal: AbortSignal,
): Promise<Production> {
  const { eventsPerSecond, seconds, batchSize } = options
  const { partitions } = producer
  const encoder = new RecordBatchEncoder()
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
    const bytes = encoder.encode(makeRecords(seed, sent, events), 'none')
    const send = producer
      .send(partition, bytes)
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

/** Timers have a resolution of a millisecond. What is late still lets answers be read in between. */
async function untilDue(dueMs: number): Promise<void> {
  const waitMs = dueMs - performance.now()
  if (waitMs >= 1) await sleep(waitMs)
  else await nextTurn()
}

const headersByType = new Map<string, SourceRecord['headers']>()

/** Plain valid events, as of now. */
function makeRecords(seed: number, first: number, count: number): SourceRecord[] {
  const timestamp = Date.now()
  return Array.from({ length: count }, (_, index) => {
    const event = { ...makeEvent(seed, first + index), timestamp }
    // A hash in it would no longer fit.
    delete event.provenance
    const headers = headersByType.get(event.type) ?? [['event-type', Buffer.from(event.type)]]
    headersByType.set(event.type, headers)
    return {
      key: Buffer.from(String(event.data['orderId'])),
      value: Buffer.from(JSON.stringify(event)),
      headers,
      timestamp,
    }
  })
}
