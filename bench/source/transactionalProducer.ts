import { WireReader, WireWriter } from '../../src/kafka/wire.ts'
import { BrokerSocket } from './brokerSocket.ts'
import type { Codec } from './codecs.ts'
import type { SourceRecord } from './event.ts'
import { RecordBatchEncoder } from './recordBatch.ts'
import { initProducerIdApi, produceApi, readInitProducerIdAnswer, readProduceAnswer } from './requests.ts'
import { untilReady } from './untilReady.ts'

const silenceLimitMs = 10_000
const allReplicas = -1

const addPartitionsApi = { key: 24, version: 1 } as const
const endTransactionApi = { key: 26, version: 1 } as const

export interface TransactionalOptions {
  /** Of the only node, which is leader and coordinator of everything. */
  readonly address: string
  readonly topic: string
  readonly transactionalId: string
  /** After this long without an end the broker aborts a transaction by itself. */
  readonly timeoutMs: number
  readonly signal: AbortSignal
}

/**
 * A producer of transactions (KIP-98) on a cluster of one node that does not go away; one call at a time. Whatever fails
 * ends it.
 */
export class TransactionalProducer {
  readonly #options: TransactionalOptions
  readonly #socket: BrokerSocket
  readonly #identity: { readonly producerId: bigint; readonly producerEpoch: number }
  readonly #encoder = new RecordBatchEncoder()
  readonly #sequences = new Map<number, number>()
  /** In the transaction that is open. */
  readonly #partitions = new Set<number>()

  private constructor(
    options: TransactionalOptions,
    socket: BrokerSocket,
    identity: { readonly producerId: bigint; readonly producerEpoch: number },
  ) {
    this.#options = options
    this.#socket = socket
    this.#identity = identity
  }

  /** Fences whoever had the transactional id before; the transaction that he left open is aborted. */
  static async open(options: TransactionalOptions): Promise<TransactionalProducer> {
    const { address, transactionalId, timeoutMs, signal } = options
    const at = address.lastIndexOf(':')
    const socket = await BrokerSocket.open(
      address.slice(0, at),
      Number(address.slice(at + 1)),
      silenceLimitMs,
    )
    const { key, version } = initProducerIdApi
    const body = new WireWriter().string(transactionalId).int32(timeoutMs).finish()
    const identity = await untilReady('a producer id', signal, async () => {
      const answer = readInitProducerIdAnswer(await socket.request(key, version, [body]))
      return { code: answer.errorCode, value: answer }
    })
    return new TransactionalProducer(options, socket, identity)
  }

  /** Begins a transaction unless one is open. Resolves with the offset of the first record. */
  async send(partition: number, records: readonly SourceRecord[], codec: Codec): Promise<number> {
    if (!this.#partitions.has(partition)) await this.#add(partition)
    const { topic, transactionalId } = this.#options
    const sequence = this.#sequences.get(partition) ?? 0
    const batch = this.#encoder.encode(records, codec, { ...this.#identity, sequence, isTransactional: true })
    const head = new WireWriter().string(transactionalId).int16(allReplicas).int32(silenceLimitMs)
    head.int32(1).string(topic).int32(1).int32(partition).int32(batch.length)
    const { key, version } = produceApi
    const answer = readProduceAnswer(await this.#socket.request(key, version, [head.finish(), batch]))
    if (answer.errorCode !== 0) throw new Error(`a batch in a transaction: error ${answer.errorCode}`)
    this.#sequences.set(partition, sequence + records.length)
    return answer.baseOffset
  }

  /** Commits or aborts what is open, if anything is. Markers follow a moment later. */
  async end(commit: boolean): Promise<void> {
    if (this.#partitions.size === 0) return
    const { key, version } = endTransactionApi
    const body = this.#head()
      .int8(commit ? 1 : 0)
      .finish()
    await untilReady('the end of a transaction', this.#options.signal, async () => {
      const answer = await this.#socket.request(key, version, [body])
      return { code: answer.readInt16BE(4), value: null }
    })
    this.#partitions.clear()
  }

  /** Leaves an open transaction to whoever opens the transactional id next, or to its time-out. */
  close(): void {
    this.#socket.close()
  }

  async #add(partition: number): Promise<void> {
    const { topic, signal } = this.#options
    const { key, version } = addPartitionsApi
    const body = this.#head().int32(1).string(topic).int32(1).int32(partition).finish()
    await untilReady('a partition of a transaction', signal, async () => {
      const answer = await this.#socket.request(key, version, [body])
      return { code: firstErrorOf(answer), value: null }
    })
    this.#partitions.add(partition)
  }

  #head(): WireWriter {
    const { producerId, producerEpoch } = this.#identity
    const id = Buffer.alloc(8)
    id.writeBigInt64BE(producerId)
    return new WireWriter().string(this.#options.transactionalId).raw(id).int16(producerEpoch)
  }
}

/** Throttle time, then topics, each a name and partitions, each a number and an error code. */
function firstErrorOf(answer: Buffer): number {
  const reader = new WireReader(answer)
  reader.int32()
  const codes = reader.array((topic) => {
    topic.string()
    return topic.array((partition) => {
      partition.int32()
      return partition.int16()
    })
  })
  return codes.flat()[0] ?? 0
}
