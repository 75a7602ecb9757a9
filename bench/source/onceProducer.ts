import { BrokerSocket } from './brokerSocket.ts'
import type { Codec } from './codecs.ts'
import type { SourceRecord } from './event.ts'
import { RecordBatchEncoder } from './recordBatch.ts'
import {
  type InitProducerIdAnswer,
  initProducerIdApi,
  initProducerIdBody,
  produceApi,
  produceHead,
  readInitProducerIdAnswer,
  readProduceAnswer,
} from './requests.ts'
import { untilReady } from './untilReady.ts'

const silenceLimitMs = 10_000

/**
 * Produces every batch under a producer id of its own, to a cluster of one node that does not go away: compaction keeps
 * the last batch of every producer, even when nothing is left in it.
 */
export class OnceProducer {
  readonly #topic: string
  readonly #socket: BrokerSocket
  readonly #signal: AbortSignal
  readonly #encoder = new RecordBatchEncoder()

  private constructor(topic: string, socket: BrokerSocket, signal: AbortSignal) {
    this.#topic = topic
    this.#socket = socket
    this.#signal = signal
  }

  /** `address`: of the only node. */
  static async open(address: string, topic: string, signal: AbortSignal): Promise<OnceProducer> {
    const at = address.lastIndexOf(':')
    const socket = await BrokerSocket.open(
      address.slice(0, at),
      Number(address.slice(at + 1)),
      silenceLimitMs,
    )
    return new OnceProducer(topic, socket, signal)
  }

  /** Resolves with the offset of the first record. @throws when the broker refuses the batch */
  async send(partition: number, records: readonly SourceRecord[], codec: Codec): Promise<number> {
    const owner = await this.#newProducerId()
    const batch = this.#encoder.encode(records, codec, { ...owner, sequence: 0 })
    const head = produceHead(this.#topic, partition, batch.length, silenceLimitMs)
    const answer = readProduceAnswer(
      await this.#socket.request(produceApi.key, produceApi.version, [head, batch]),
    )
    if (answer.errorCode !== 0) throw new Error(`a batch: error ${answer.errorCode}`)
    return answer.baseOffset
  }

  #newProducerId(): Promise<InitProducerIdAnswer> {
    const { key, version } = initProducerIdApi
    return untilReady('a producer id', this.#signal, async () => {
      const answer = await this.#socket.request(key, version, [initProducerIdBody()])
      const value = readInitProducerIdAnswer(answer)
      return { code: value.errorCode, value }
    })
  }

  close(): void {
    this.#socket.close()
  }
}
