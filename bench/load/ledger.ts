import { Latencies } from './latencies.ts'

interface Batch {
  readonly endOffset: number
  readonly events: number
  /** When it was meant to be sent. */
  readonly dueMs: number
}

/**
 * Which batches Kafka has acknowledged and which of them the log has committed. Latency counts from the moment at which
 * a batch was due, so that falling behind shows as latency and cannot hide (no coordinated omission).
 */
export class Ledger {
  readonly acknowledgement = new Latencies()
  readonly commit = new Latencies()
  acknowledged = 0
  committed = 0
  lastCommitMs = Number.NaN
  readonly #waiting = new Map<number, Batch[]>()
  readonly #next = new Map<number, number>()

  /** A batch landed at this offset. */
  acknowledge(partition: number, offset: number, batch: Omit<Batch, 'endOffset'>, nowMs: number): void {
    this.acknowledged += batch.events
    this.acknowledgement.add(nowMs - batch.dueMs)
    const waiting = this.#waiting.get(partition) ?? []
    this.#waiting.set(partition, waiting)
    waiting.push({ ...batch, endOffset: offset + batch.events })
    this.#settle(partition, nowMs)
  }

  /** The log of a partition has taken everything below `next`. */
  advance(partition: number, next: number, nowMs: number): void {
    this.#next.set(partition, next)
    this.#settle(partition, nowMs)
  }

  #settle(partition: number, nowMs: number): void {
    const waiting = this.#waiting.get(partition) ?? []
    const next = this.#next.get(partition) ?? 0
    while (waiting[0] !== undefined && waiting[0].endOffset <= next) {
      const { events, dueMs } = waiting[0]
      waiting.shift()
      this.committed += events
      this.commit.add(nowMs - dueMs)
      this.lastCommitMs = nowMs
    }
  }
}
