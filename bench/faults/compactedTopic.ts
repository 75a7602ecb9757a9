import { setTimeout as sleep } from 'node:timers/promises'
import type { DeadLetterCode } from '../../src/domain/model.ts'
import { isControl } from '../../src/kafka/record-batch-header.ts'
import type { SeenRecord } from '../judge/compare.ts'
import { digestRecord, type RecordDigest } from '../judge/digest.ts'
import { RecordTable } from '../judge/table.ts'
import type { Codec } from '../source/codecs.ts'
import { carry, makeEvent, type SourceRecord } from '../source/event.ts'
import { OnceProducer } from '../source/onceProducer.ts'
import { TransactionalProducer } from '../source/transactionalProducer.ts'
import type { Score } from './contract.ts'
import type { Stage } from './stage.ts'
import { storedBatches } from './storedBatches.ts'

/** Segments that are full after some batches, and are cleaned as soon as they are. */
const config = {
  'cleanup.policy': 'compact',
  'segment.ms': '2000',
  'min.cleanable.dirty.ratio': '0.01',
  'delete.retention.ms': '500',
}
/** Few, so that many batches lose all of theirs. */
const recordsPerBatch = 6
const keys = 40
const livePauseMs = 20
const transactionTimeoutMs = 60_000
const codecs: readonly [Codec, ...Codec[]] = ['none', 'none', 'gzip', 'snappy', 'lz4', 'zstd']
/** The cleaner looks twice a second. */
const settleMs = 2_000
const mostReads = 30

interface Written {
  readonly digest: RecordDigest
  readonly fate: 'accepted' | DeadLetterCode
}

/** By partition: what was written and not aborted, by offset; compaction takes most of it away again. */
type Records<T> = readonly Map<number, T>[]

/**
 * A compacted topic with few keys, so that most of what is written is soon replaced: batches with holes, batches with
 * nothing left in them, aborted transactions, tombstones.
 */
export class CompactedTopic {
  readonly name: string
  readonly partitions: number
  readonly #stage: Stage
  readonly #written: Records<Written>
  #events = 0

  private constructor(stage: Stage, name: string, partitions: number) {
    this.#stage = stage
    this.name = name
    this.partitions = partitions
    this.#written = Array.from({ length: partitions }, () => new Map())
  }

  static async create(stage: Stage, suffix: string, partitions: number): Promise<CompactedTopic> {
    return new CompactedTopic(stage, await stage.world.createTopic(suffix, partitions, config), partitions)
  }

  /** Writes so many batches: plain ones, each by a producer of its own, and transactions, of which one in three aborts. */
  write(batches: number): Promise<void> {
    return this.#writeWhile((written) => written < batches, 0)
  }

  /** The same, slowly, until it is stopped. */
  writeUntil(stop: AbortSignal): Promise<void> {
    return this.#writeWhile(() => !stop.aborted, livePauseMs)
  }

  async #writeWhile(goOn: (written: number) => boolean, pauseMs: number): Promise<void> {
    const { kafka, context } = this.#stage
    const plain = await OnceProducer.open(kafka.brokers, this.name, context.signal)
    try {
      for (let batch = 0; goOn(batch); batch++) {
        if (context.random.below(6) === 0) await this.#writeTransaction()
        else await this.#writePlain(plain)
        if (pauseMs > 0) await sleep(context.random.below(pauseMs), undefined, { signal: context.signal })
      }
    } finally {
      plain.close()
    }
  }

  /** Resolves with what is left when nothing more is taken away, as Kafka's Java consumer sees it. */
  async untilSettled(): Promise<Records<RecordDigest>> {
    const { signal } = this.#stage.context
    let before = await this.read()
    for (let reads = 0; reads < mostReads; reads++) {
      await sleep(settleMs, undefined, { signal })
      const now = await this.read()
      if (isSame(before, now)) return now
      before = now
    }
    throw new Error(`compaction of ${this.name} does not come to an end`)
  }

  async read(): Promise<Records<RecordDigest>> {
    const { reader, signal } = this.#stage.context
    const found = Array.from({ length: this.partitions }, () => new Map<number, RecordDigest>())
    const add = (record: SeenRecord): void => void found[record.partition]?.set(record.offset, record)
    await reader.read(this.#stage.kafka.brokers, [this.name], (_, record) => add(record), signal)
    return found
  }

  /** By partition: where Kafka's log ends. */
  async ends(): Promise<number[]> {
    const bounds = await this.#stage.world.admin.fetchTopicOffsets(this.name)
    return bounds.sort((a, b) => a.partition - b.partition).map(({ high }) => Number(high))
  }

  /** Batches that have no record left, and the longest run of them and of markers on a partition, in bytes. */
  async emptied(): Promise<{ readonly count: number; readonly longestBytes: number }> {
    let [count, longestBytes] = [0, 0]
    for (const [partition, end] of (await this.ends()).entries()) {
      const place = { topic: this.name, partition }
      let bytes = 0
      for (const batch of await storedBatches(this.#stage.kafka.brokers, place, { start: 0, end })) {
        const isEmpty = batch.count === 0
        bytes = isEmpty || isControl(batch) ? bytes + batch.end - batch.start : 0
        longestBytes = Math.max(longestBytes, bytes)
        if (isEmpty) count++
      }
    }
    return { count, longestBytes }
  }

  /** Records that were written and not aborted. */
  get size(): number {
    return this.#written.reduce((sum, { size }) => sum + size, 0)
  }

  /** Of what was written: the records that are to be there. */
  score(isThere: (partition: number, offset: number) => boolean, ends: readonly number[]): Score {
    const tables = this.#written.map((written, partition) => {
      const table = new RecordTable()
      for (const [offset, { digest, fate }] of [...written].sort(([a], [b]) => a - b))
        if (isThere(partition, offset)) table.add(offset, digest, fate)
      return table
    })
    const sum = (of: (table: RecordTable) => number): number =>
      tables.reduce((all, table) => all + of(table), 0)
    const { name: topic, partitions } = this
    const [produced, accepted] = [sum(({ size }) => size), sum((table) => table.accepted)]
    return { topic, partitions, tables, ends, produced, accepted }
  }

  async #writePlain(producer: OnceProducer): Promise<void> {
    const { random } = this.#stage.context
    const [partition, records] = [random.below(this.partitions), this.#nextBatch()]
    this.#note(partition, await producer.send(partition, records, random.pick(codecs)), records)
  }

  async #writeTransaction(): Promise<void> {
    const { kafka, context } = this.#stage
    const { random, signal } = context
    const transactionalId = `${this.name}-${this.#events}`
    const producer = await TransactionalProducer.open({
      address: kafka.brokers,
      topic: this.name,
      transactionalId,
      timeoutMs: transactionTimeoutMs,
      signal,
    })
    try {
      const commit = random.below(3) > 0
      for (let batch = 1 + random.below(3); batch > 0; batch--) {
        const [partition, records] = [random.below(this.partitions), this.#nextBatch()]
        const first = await producer.send(partition, records, random.pick(codecs))
        if (commit) this.#note(partition, first, records)
      }
      await producer.end(commit)
    } finally {
      producer.close()
    }
  }

  #note(partition: number, first: number, records: readonly SourceRecord[]): void {
    for (const [index, record] of records.entries()) {
      const fate = record.value === null ? 'TOMBSTONE' : 'accepted'
      this.#written[partition]?.set(first + index, { digest: digestRecord(record), fate })
    }
  }

  #nextBatch(): SourceRecord[] {
    const { random } = this.#stage.context
    const size = 1 + random.below(recordsPerBatch)
    return Array.from({ length: size }, () => {
      const event = makeEvent(random.next(), this.#events++)
      const value = random.below(20) === 0 ? null : Buffer.from(JSON.stringify(event))
      return { ...carry(random, event, value), key: Buffer.from(`key-${random.below(keys)}`) }
    })
  }
}

const isSame = (a: Records<unknown>, b: Records<unknown>): boolean =>
  a.every((records, partition) => [...records.keys()].join() === [...(b[partition]?.keys() ?? [])].join())
