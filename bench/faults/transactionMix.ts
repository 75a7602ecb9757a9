import { setTimeout as sleep } from 'node:timers/promises'
import { digestRecord } from '../judge/digest.ts'
import { RecordTable } from '../judge/table.ts'
import type { Codec } from '../source/codecs.ts'
import { carry, makeEvent, type SourceRecord } from '../source/event.ts'
import { Random } from '../source/random.ts'
import { TransactionalProducer } from '../source/transactionalProducer.ts'
import type { Score } from './contract.ts'

export interface TransactionMixOptions {
  /** Of the only node, directly. */
  readonly brokers: string
  readonly topic: string
  readonly partitions: number
  readonly producers: number
  readonly random: Random
  readonly signal: AbortSignal
}

export type Ending = 'committed' | 'aborted' | 'fenced' | 'timed out'

interface Sent {
  readonly offset: number
  readonly record: SourceRecord
}

/** What a transaction has put on one partition. */
interface Span {
  readonly partition: number
  readonly first: number
  readonly last: number
}

/** None but the transactions that are to time out may: a machine that stands still for a while would end them all. */
const timeoutMs = 60_000
/** Far longer than one takes to fill. The bed's brokers look every second. */
const shortTimeoutMs = 4_000
const untilTimedOutMs = 7_000
const recordsPerBatch = 20
const longestPauseMs = 60
/** As Kafka's abort markers have: a client that looks at keys alone takes it for one. */
const markerKey = Buffer.alloc(4)
const codecs: readonly [Codec, ...Codec[]] = ['none', 'none', 'none', 'gzip', 'snappy', 'lz4', 'zstd']
/** Of 24: how each transaction ends. */
const endings: readonly [Ending, ...Ending[]] = [
  'timed out',
  ...Array<Ending>(2).fill('fenced'),
  ...Array<Ending>(9).fill('aborted'),
  ...Array<Ending>(12).fill('committed'),
]

/**
 * Several producers whose transactions overlap on all partitions of a topic and end in every way; what was aborted is
 * sometimes sent again later. The score holds what was committed.
 */
export class TransactionMix {
  readonly #options: TransactionMixOptions
  readonly #stop = new AbortController()
  readonly #committed: Sent[][]
  readonly #aborted: Span[] = []
  readonly #counts: Record<Ending, number> = { committed: 0, aborted: 0, fenced: 0, 'timed out': 0 }
  #running: Promise<unknown> | null = null
  #events = 0
  #abortedRecords = 0

  constructor(options: TransactionMixOptions) {
    this.#options = options
    this.#committed = Array.from({ length: options.partitions }, () => [])
  }

  start(): void {
    const { producers, random } = this.#options
    const ids = Array.from({ length: producers }, (_, number) => number)
    this.#running = Promise.all(ids.map((number) => this.#produce(number, new Random(random.next(), number))))
    // It is awaited by `stop`.
    this.#running.catch(() => undefined)
  }

  /** Resolves when every transaction has ended. @throws what ended the mix before */
  async stop(): Promise<void> {
    this.#stop.abort()
    await this.#running
  }

  get counts(): Readonly<Record<Ending, number>> {
    return this.#counts
  }

  get abortedRecords(): number {
    return this.#abortedRecords
  }

  /** Pairs of aborted transactions that overlap on a partition. */
  get overlaps(): number {
    let pairs = 0
    for (const [at, { partition, first, last }] of this.#aborted.entries())
      for (const other of this.#aborted.slice(at + 1))
        if (other.partition === partition && other.first <= last && first <= other.last) pairs++
    return pairs
  }

  /** Once all transactions have ended. */
  score(): Score {
    const tables = this.#committed.map((sent) => {
      const table = new RecordTable()
      for (const { offset, record } of sent.sort((a, b) => a.offset - b.offset))
        table.add(offset, digestRecord(record), 'accepted')
      return table
    })
    const produced = tables.reduce((sum, { size }) => sum + size, 0)
    const ends = tables.map((table) => table.offsetAt(table.size - 1) + 1)
    const { topic, partitions } = this.#options
    return { topic, partitions, tables, ends, produced, accepted: produced }
  }

  async #produce(number: number, random: Random): Promise<void> {
    const transactionalId = `${this.#options.topic}-${number}`
    const open = (ending: Ending): Promise<TransactionalProducer> =>
      TransactionalProducer.open({
        address: this.#options.brokers,
        topic: this.#options.topic,
        transactionalId,
        timeoutMs: ending === 'timed out' ? shortTimeoutMs : timeoutMs,
        signal: this.#options.signal,
      })
    let ending = random.pick(endings)
    let producer = await open(ending)
    let again: readonly SourceRecord[] = []
    try {
      while (!this.#stop.signal.aborted) {
        const sent = await this.#fill(producer, random, again)
        await this.#end(producer, ending)
        this.#note(sent, ending)
        const isLost = ending !== 'committed' && random.below(2) === 0
        const isOver = ending === 'fenced' || ending === 'timed out'
        ending = random.pick(endings)
        if (isOver || ending === 'timed out') {
          producer.close()
          producer = await open(ending)
        }
        again = isLost ? [...sent.values()].flat().map(({ record }) => record) : []
      }
      if (again.length > 0) {
        producer.close()
        producer = await open('committed')
        this.#note(await this.#fill(producer, random, again), 'committed')
        await producer.end(true)
      }
    } finally {
      producer.close()
    }
  }

  /** Some batches on some of the partitions, now and then more than a fetch brings. By partition. */
  async #fill(
    producer: TransactionalProducer,
    random: Random,
    again: readonly SourceRecord[],
  ): Promise<Map<number, Sent[]>> {
    const sent = new Map<number, Sent[]>()
    const batches = random.below(8) === 0 ? 30 : 1 + random.below(6)
    const left = [...again]
    for (let batch = 0; batch < batches || left.length > 0; batch++) {
      const partition = random.below(this.#options.partitions)
      const size = 1 + random.below(recordsPerBatch)
      const old = left.splice(0, size)
      const records = old.length > 0 ? old : Array.from({ length: size }, () => this.#nextRecord(random))
      const first = await producer.send(partition, records, random.pick(codecs))
      const list = sent.get(partition) ?? []
      list.push(...records.map((record, index) => ({ offset: first + index, record })))
      sent.set(partition, list)
      await sleep(random.below(batches > 6 ? longestPauseMs / 6 : longestPauseMs))
    }
    return sent
  }

  async #end(producer: TransactionalProducer, ending: Ending): Promise<void> {
    if (ending === 'committed' || ending === 'aborted') await producer.end(ending === 'committed')
    if (ending === 'timed out') await sleep(untilTimedOutMs, undefined, { signal: this.#options.signal })
  }

  #note(sent: ReadonlyMap<number, readonly Sent[]>, ending: Ending): void {
    this.#counts[ending]++
    for (const [partition, list] of sent) {
      if (ending === 'committed') {
        this.#committed[partition]?.push(...list)
        continue
      }
      this.#abortedRecords += list.length
      this.#aborted.push({ partition, first: list[0]?.offset ?? 0, last: list.at(-1)?.offset ?? 0 })
    }
  }

  #nextRecord(random: Random): SourceRecord {
    const index = this.#events++
    const event = makeEvent(this.#options.random.next(), index)
    // One that has been hashed stays as it is.
    if (random.below(4) === 0 && event.provenance === undefined)
      event.data['padding'] = 'x'.repeat(random.below(6_000))
    const record = carry(random, event, Buffer.from(JSON.stringify(event)))
    return random.below(3) === 0 ? { ...record, key: markerKey } : record
  }
}
