import { setTimeout as sleep } from 'node:timers/promises'
import { digestRecord } from '../judge/digest.ts'
import { RecordTable } from '../judge/table.ts'
import { contentHash, type EventObject, type SourceRecord } from '../source/event.ts'
import { type PlannedBatch, planBatch, type SourceOptions } from '../source/generator.ts'
import { StubbornProducer } from '../source/stubbornProducer.ts'
import type { Score } from './contract.ts'

export interface LoadOptions {
  /** Direct addresses: what becomes of the source must be known whatever happens to the roles' connections. */
  readonly brokers: string
  readonly topic: string
  readonly partitions: number
  readonly seed: number
  /** Small, so that there are many batches; 40 when left out. */
  readonly recordsPerBatch?: number
  /** One record in a hundred each; both when left out. */
  readonly badRecords?: boolean
  readonly duplicates?: boolean
  /** Four batches in ten are compressed, with all codecs in turn; when left out they are. */
  readonly compression?: boolean
  readonly signal: AbortSignal
  /** As in StubbornProducer. */
  readonly route?: (address: string) => string
}

/** More than any campaign produces. */
const endless = 2 ** 31

/**
 * A load of one topic by its only producer, and the score of what Kafka acknowledged. What is generated is a function
 * of the options; each partition gets its batches in order, one at a time, whatever becomes of the brokers meanwhile. A
 * partition that cannot be written falls behind and does not catch up: nothing piles up here.
 */
export class SteadyLoad {
  readonly #options: LoadOptions
  readonly #source: SourceOptions
  readonly #producer: StubbornProducer
  readonly #lanes: readonly Lane[]
  #pumping: Promise<void> | null = null
  #pause = new AbortController()

  constructor(options: LoadOptions) {
    const { brokers, topic, partitions, seed, signal, recordsPerBatch = 40 } = options
    this.#options = options
    this.#source = {
      seed,
      events: endless,
      partitions,
      recordsPerBatch,
      badPercent: options.badRecords === false ? 0 : 1,
      duplicatePercent: options.duplicates === false ? 0 : 1,
      compression: options.compression !== false,
    }
    this.#producer = new StubbornProducer(brokers, topic, signal, options.route)
    this.#lanes = Array.from({ length: partitions }, () => new Lane())
  }

  /** Batches that were sent more than once because their outcome was unknown. */
  get resent(): number {
    return this.#producer.resent
  }

  /** Begins, or changes the rate: records per second over all partitions. */
  async start(ratePerSecond: number): Promise<void> {
    await this.pause()
    this.#pause = new AbortController()
    const stop = AbortSignal.any([this.#pause.signal, this.#options.signal])
    const everyMs = (1000 * this.#source.recordsPerBatch * this.#lanes.length) / ratePerSecond
    const pumps = this.#lanes.map((_, partition) => this.#pump(partition, everyMs, stop))
    this.#pumping = Promise.all(pumps).then(() => undefined)
    // It is awaited by `pause`, which nobody may reach.
    this.#pumping.catch(() => undefined)
  }

  /** Resolves when nothing is under way: everything produced has been acknowledged. @throws what ended the load */
  async pause(): Promise<void> {
    this.#pause.abort()
    const pumping = this.#pumping
    this.#pumping = null
    await pumping
  }

  /** As `pause`, and closes the connections. */
  async stop(): Promise<void> {
    try {
      await this.pause()
    } finally {
      this.#producer.close()
    }
  }

  /** The next generated batches, round robin; resolves when all are acknowledged. Not while the load is running. */
  async produceBatches(count: number): Promise<void> {
    const share = (partition: number): number => Math.ceil((count - partition) / this.#lanes.length)
    await Promise.all(
      this.#lanes.map(async (_, partition) => {
        for (let left = share(partition); left > 0; left--) await this.#next(partition)
      }),
    )
  }

  /** A batch of somebody's own making; returns the offset of its first record. */
  async produce(batch: PlannedBatch): Promise<number> {
    const lane = this.#lanes[batch.partition]
    if (lane === undefined) throw new RangeError(`there is no partition ${batch.partition}`)
    const records = batch.records.map(({ record }) => record)
    const first = await this.#producer.send(batch.partition, records, batch.codec)
    batch.records.forEach(({ record, fate }, index) => {
      const accepted = fate === 'accepted'
      const hash = accepted ? contentHashOf(record) : undefined
      lane.table.add(first + index, digestRecord(record), fate, hash)
      if (accepted) lane.accepted++
    })
    return first
  }

  /** What has been acknowledged. The tables are the load's own and grow with it: pause before they are judged by. */
  score(): Score {
    const { topic, partitions } = this.#options
    const sum = (of: (lane: Lane) => number): number => this.#lanes.reduce((all, lane) => all + of(lane), 0)
    return {
      topic,
      partitions,
      tables: this.#lanes.map(({ table }) => table),
      ends: this.#lanes.map(({ table }) => table.offsetAt(table.size - 1) + 1),
      produced: sum(({ table }) => table.size),
      accepted: sum(({ accepted }) => accepted),
    }
  }

  async #next(partition: number): Promise<void> {
    const lane = this.#lanes[partition]
    if (lane === undefined) throw new RangeError(`there is no partition ${partition}`)
    const number = partition + lane.batches * this.#lanes.length
    lane.batches++
    await this.produce(planBatch(this.#source, number))
  }

  async #pump(partition: number, everyMs: number, stop: AbortSignal): Promise<void> {
    // Not all at once.
    let dueMs = performance.now() + (everyMs * partition) / this.#lanes.length
    while (!stop.aborted) {
      await pauseFor(dueMs - performance.now(), stop)
      if (stop.aborted) break
      await this.#next(partition)
      dueMs = Math.max(dueMs + everyMs, performance.now())
    }
    this.#options.signal.throwIfAborted()
  }
}

class Lane {
  readonly table = new RecordTable()
  accepted = 0
  /** Generated so far. */
  batches = 0
}

/** As the platform must have it, by another canonicalizer. Ids are lower-cased before they are hashed. */
function contentHashOf({ value }: SourceRecord): string {
  const event: EventObject = JSON.parse(String(value))
  return contentHash({ ...event, id: event.id.toLowerCase() })
}

async function pauseFor(ms: number, stop: AbortSignal): Promise<void> {
  if (ms <= 0) return
  await sleep(ms, undefined, { signal: stop }).catch((error: unknown) => {
    if (!stop.aborted) throw error
  })
}
