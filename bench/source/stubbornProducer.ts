import { setTimeout as sleep } from 'node:timers/promises'
import { BrokerSocket } from './brokerSocket.ts'
import type { Codec } from './codecs.ts'
import type { SourceRecord } from './event.ts'
import { RecordBatchEncoder } from './recordBatch.ts'
import {
  initProducerIdApi,
  initProducerIdBody,
  type MetadataAnswer,
  metadataApi,
  metadataBody,
  produceApi,
  produceHead,
  readInitProducerIdAnswer,
  readMetadataAnswer,
  readProduceAnswer,
} from './requests.ts'

/** A broker that says nothing for this long is asked elsewhere, or again. */
const silenceLimitMs = 5_000
const firstPauseMs = 20
const longestPauseMs = 500

/**
 * Answers after which the batch is sent again as it is: leaders that move or load, replicas that are missing, a
 * request that took too long. The codes are those of https://kafka.apache.org/protocol.html#protocol_error_codes.
 */
const passing: ReadonlySet<number> = new Set([
  2, 3, 5, 6, 7, 8, 9, 13, 14, 15, 16, 19, 20, 41, 51, 56, 74, 75, 76,
])

/**
 * Produces to one topic, whatever becomes of its brokers: each batch lands once, in the order of the calls, or the
 * signal ends the attempt. Batches carry a producer id and sequence numbers (KIP-98) and are sent one at a time per
 * partition until they are acknowledged, so a batch whose outcome is unknown is settled by sending it again: a broker
 * that has it answers with the offset that it got the first time, also when a late copy arrives afterwards.
 */
export class StubbornProducer {
  readonly #topic: string
  readonly #bootstrap: string[]
  readonly #signal: AbortSignal
  readonly #route: (address: string) => string
  readonly #encoder = new RecordBatchEncoder()
  readonly #sockets = new Map<string, Promise<BrokerSocket>>()
  readonly #sequences = new Map<number, number>()
  readonly #busy = new Set<number>()
  #metadata: Promise<MetadataAnswer> | null = null
  #identity: Promise<{ producerId: bigint; producerEpoch: number }> | null = null
  /** Batches that had to be sent more than once. */
  resent = 0

  /** `route`: where to reach what brokers advertise; for tests that stand in between. */
  constructor(
    brokers: string,
    topic: string,
    signal: AbortSignal,
    route: (address: string) => string = (address) => address,
  ) {
    this.#bootstrap = brokers.split(',')
    this.#route = route
    this.#topic = topic
    this.#signal = signal
  }

  /**
   * Resolves with the offset of the first record when all replicas in sync have the batch.
   * @throws when the broker refuses it for good, or has forgotten what it acknowledged before
   */
  async send(partition: number, records: readonly SourceRecord[], codec: Codec): Promise<number> {
    if (this.#busy.has(partition)) throw new Error(`a batch for partition ${partition} is under way`)
    this.#busy.add(partition)
    try {
      this.#identity ??= this.#persist(() => this.#initProducerId())
      const identity = await this.#identity
      const sequence = this.#sequences.get(partition) ?? 0
      const batch = this.#encoder.encode(records, codec, { ...identity, sequence })
      let attempts = 0
      const offset = await this.#persist(() => {
        if (attempts++ === 1) this.resent++
        return this.#produce(partition, batch)
      })
      this.#sequences.set(partition, sequence + records.length)
      return offset
    } finally {
      this.#busy.delete(partition)
    }
  }

  close(): void {
    for (const socket of this.#sockets.values()) void socket.then((open) => open.close(), ignore)
    this.#sockets.clear()
  }

  async #produce(partition: number, batch: Buffer): Promise<number> {
    const { brokers, leaders } = await this.#leaders()
    const address = brokers.get(leaders.get(partition) ?? -1)
    if (address === undefined) throw new Passing(`partition ${partition} has no leader`)
    const socket = await this.#socket(`${address.host}:${address.port}`)
    const head = produceHead(this.#topic, partition, batch.length, silenceLimitMs)
    const answer = readProduceAnswer(await socket.request(produceApi.key, produceApi.version, [head, batch]))
    requireNone(answer.errorCode, `a batch for ${this.#topic}/${partition}`)
    return answer.baseOffset
  }

  async #initProducerId(): Promise<{ producerId: bigint; producerEpoch: number }> {
    return this.#anyBroker(async (socket) => {
      const { key, version } = initProducerIdApi
      const answer = readInitProducerIdAnswer(await socket.request(key, version, [initProducerIdBody()]))
      requireNone(answer.errorCode, 'a producer id')
      return { producerId: answer.producerId, producerEpoch: answer.producerEpoch }
    })
  }

  #leaders(): Promise<MetadataAnswer> {
    this.#metadata ??= this.#anyBroker(async (socket) => {
      const { key, version } = metadataApi
      const answer = readMetadataAnswer(await socket.request(key, version, [metadataBody(this.#topic)]))
      requireNone(answer.errorCode, `the topic ${this.#topic}`)
      return answer
    })
    return this.#metadata
  }

  /** One that does not answer is asked last from then on. */
  async #anyBroker<T>(ask: (socket: BrokerSocket) => Promise<T>): Promise<T> {
    const address = this.#bootstrap[0] ?? ''
    try {
      return await ask(await this.#socket(address))
    } catch (error) {
      if (this.#bootstrap[0] === address) this.#bootstrap.push(...this.#bootstrap.splice(0, 1))
      throw error
    }
  }

  async #socket(address: string): Promise<BrokerSocket> {
    const known = this.#sockets.get(address)
    if (known !== undefined) {
      const socket = await known.catch(() => null)
      if (socket?.isOpen === true) return socket
      if (this.#sockets.get(address) === known) this.#sockets.delete(address)
      else return this.#socket(address)
    }
    const route = this.#route(address)
    const at = route.lastIndexOf(':')
    const opening = BrokerSocket.open(route.slice(0, at), Number(route.slice(at + 1)), silenceLimitMs)
    this.#sockets.set(address, opening)
    opening.catch(ignore)
    return opening
  }

  /** Until it succeeds, is refused for good, or the signal says so. */
  async #persist<T>(attempt: () => Promise<T>): Promise<T> {
    for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(pauseMs * 2, longestPauseMs)) {
      this.#signal.throwIfAborted()
      try {
        return await attempt()
      } catch (error) {
        if (error instanceof Refused) throw error
        this.#metadata = null
        await sleep(pauseMs, undefined, { signal: this.#signal })
      }
    }
  }
}

const ignore = (): void => undefined

class Passing extends Error {}
class Refused extends Error {}

function requireNone(errorCode: number, what: string): void {
  if (errorCode === 0) return
  const text = `${what}: the broker answered with error ${errorCode}`
  throw passing.has(errorCode) ? new Passing(text) : new Refused(text)
}
