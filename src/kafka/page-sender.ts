import { ServiceError } from '../errors.ts'
import type { ProducePage, TransactionLaneOptions } from '../ports.ts'
import { type BrokerLink, sendRequest } from './broker-link.ts'
import { codeFault, kafkaCodeName } from './faults.ts'
import type { KafkaBroker } from './internals.ts'
import { type ProduceAnswer, produceRequest } from './produce-request.ts'
import { RecordBatchEncoder } from './record-batch-encoder.ts'
import { nextSequence } from './record-batch-layout.ts'
import type { ProducerIdentity } from './transaction-calls.ts'
import { untilSettled } from './until-settled.ts'

/** Larger batches gain nothing and cost memory. */
const largestBatchBytes = 4 * 1024 * 1024
const produceTimeoutMs = 30_000

const tooLarge = new Set([10, 18])
/** INVALID_TIMESTAMP and INVALID_RECORD: the broker names the records. */
const invalid = new Set([32, 87])

/**
 * Leadership moved, or the leader is not ready yet. Sending the batch again is safe: the first copy was answered, so none is
 * on its way, and should it have been written, its sequence numbers make the second one a duplicate.
 */
const leaderSettles = [3, 5, 6]

/** Produces pages for one producer id, batch by batch, and keeps its sequence numbers. */
export class PageSender {
  readonly #link: BrokerLink
  readonly #options: TransactionLaneOptions
  readonly #owner: { producerId: bigint; producerEpoch: number; transactional: true }
  readonly #encoder = new RecordBatchEncoder()
  readonly #sequences = new Map<number, number>()
  readonly #leaders = new Map<number, KafkaBroker>()

  constructor(link: BrokerLink, options: TransactionLaneOptions, producer: ProducerIdentity) {
    this.#link = link
    this.#options = options
    this.#owner = {
      producerId: BigInt(producer.producerId),
      producerEpoch: producer.producerEpoch,
      transactional: true,
    }
  }

  /**
   * Sends the page in as few batches as the size limit allows, in order, one request each. A batch that is refused as too
   * large is halved until the record that is at fault stands alone; a refused batch leaves no trace on the broker, so its
   * sequence numbers are free again. Throws TARGET_REJECTED naming the source offset, else KafkaFault.
   */
  async send(partition: number, page: ProducePage, signal: AbortSignal): Promise<void> {
    const total = page.selected === null ? page.records.count : page.selected.length
    const maxBytes = Math.min(this.#options.maxMessageBytes, largestBatchBytes)
    const limits = { maxBytes, maxCount: total }
    for (let position = 0; position < total; ) {
      const firstSequence = this.#sequences.get(partition) ?? 0
      const batch = this.#encoder.encode(page, position, limits, { ...this.#owner, firstSequence })
      const answer = await untilSettled(leaderSettles, signal, () => this.#produce(partition, batch.bytes))
      if (answer.errorCode === 0) {
        position += batch.count
        this.#sequences.set(partition, nextSequence(firstSequence, batch.count))
      } else if (tooLarge.has(answer.errorCode) && batch.count > 1) {
        limits.maxCount = Math.ceil(batch.count / 2)
      } else {
        throw refusal(answer, page, position, this.#options.targetTopic)
      }
    }
  }

  async #produce(partition: number, batch: Buffer): Promise<ProduceAnswer> {
    const { transactionalId, targetTopic: topic } = this.#options
    const leader = await this.#leader(partition)
    const request = produceRequest({ transactionalId, topic, partition, batch, timeoutMs: produceTimeoutMs })
    const answer = await sendRequest(leader, request)
    if (leaderSettles.includes(answer.errorCode)) {
      this.#leaders.delete(partition)
      throw codeFault(answer.errorCode)
    }
    return answer
  }

  async #leader(partition: number): Promise<KafkaBroker> {
    const known = this.#leaders.get(partition)
    if (known !== undefined) return known
    const { targetTopic } = this.#options
    const { topics } = await this.#link.metadata([targetTopic])
    const found = topics[0]?.partitions.find((candidate) => candidate.partition === partition)
    if (found === undefined) throw codeFault(3)
    if (found.leader < 0) throw codeFault(5)
    const leader = await this.#link.node(found.leader)
    this.#leaders.set(partition, leader)
    return leader
  }
}

function refusal(answer: ProduceAnswer, page: ProducePage, position: number, topic: string): Error {
  if (!tooLarge.has(answer.errorCode) && !invalid.has(answer.errorCode)) return codeFault(answer.errorCode)
  const at = position + (answer.refused[0] ?? 0)
  const offset = page.records.offsets[page.selected?.[at] ?? at]
  const reason = kafkaCodeName(answer.errorCode)
  return new ServiceError(
    'TARGET_REJECTED',
    `topic ${topic} rejected the event at source offset ${offset}: ${reason}`,
  )
}
