import type { Cursor, TransactionLaneOptions } from '../ports.ts'
import type { BrokerLink } from './broker-link.ts'
import { KafkaFault } from './faults.ts'
import type { KafkaBroker } from './internals.ts'
import { untilSettled } from './until-settled.ts'

export interface ProducerIdentity {
  readonly producerId: string
  readonly producerEpoch: number
}

const concurrentTransactions = 51
/** The last transaction's markers are still being written, or the coordinator moves or loads; nothing was done yet. */
const initSettles = [concurrentTransactions, 14, 15, 16]
const joinSettles = [concurrentTransactions]

/**
 * The requests of one transaction to its coordinators, each sent once. kafkajs' own producer tries produce, sendOffsets and
 * the search for coordinators again by itself after lost answers; a delayed first copy could then end a later transaction
 * (KAFKA-17754), so its producer is not used. Only answers that say "nothing done yet" are followed by another try.
 */
export class TransactionCalls {
  readonly #link: BrokerLink
  readonly #options: TransactionLaneOptions
  readonly #joined = new Set<number>()
  #producer: ProducerIdentity | null = null
  #coordinator: KafkaBroker | null = null
  #groupCoordinator: KafkaBroker | null = null
  #offsetsJoined = false

  constructor(link: BrokerLink, options: TransactionLaneOptions) {
    this.#link = link
    this.#options = options
  }

  /** Fences older owners of the transactional id; waits until their transaction has ended. Safe to send again. */
  initProducerId(signal: AbortSignal): Promise<ProducerIdentity> {
    const { transactionalId, transactionTimeoutMs } = this.#options
    return untilSettled(initSettles, signal, async () => {
      const coordinator = await this.#link.coordinator('transaction', transactionalId)
      this.#coordinator = coordinator
      const { producerId, producerEpoch } = await coordinator.initProducerId({
        transactionalId,
        transactionTimeout: transactionTimeoutMs,
      })
      return { producerId, producerEpoch }
    })
  }

  begin(producer: ProducerIdentity): void {
    this.#producer = producer
    this.#joined.clear()
    this.#offsetsJoined = false
  }

  async addPartition(partition: number, signal: AbortSignal): Promise<void> {
    if (this.#joined.has(partition)) return
    const topics = [{ topic: this.#options.targetTopic, partitions: [partition] }]
    await untilSettled(joinSettles, signal, () =>
      this.#owner().addPartitionsToTxn({ ...this.#identity(), topics }),
    )
    this.#joined.add(partition)
  }

  async commitCursor(partition: number, cursor: Cursor, signal: AbortSignal): Promise<void> {
    const { groupId, targetTopic } = this.#options
    await untilSettled(joinSettles, signal, () =>
      this.#owner().addOffsetsToTxn({ ...this.#identity(), groupId }),
    )
    this.#offsetsJoined = true
    this.#groupCoordinator ??= await this.#link.coordinator('group', groupId)
    const position = { partition, offset: cursor.offset.toString(), metadata: cursor.metadata }
    await this.#groupCoordinator.txnOffsetCommit({
      ...this.#identity(),
      groupId,
      topics: [{ topic: targetTopic, partitions: [position] }],
    })
  }

  /** EndTxn; nothing to say when neither records nor offsets joined the transaction. */
  async end(commit: boolean): Promise<void> {
    if (this.#joined.size === 0 && !this.#offsetsJoined) return
    await this.#owner().endTxn({ ...this.#identity(), transactionResult: commit })
  }

  #owner(): KafkaBroker {
    if (this.#coordinator === null) throw new KafkaFault('no coordinator')
    return this.#coordinator
  }

  #identity() {
    if (this.#producer === null) throw new KafkaFault('no producer id')
    return { transactionalId: this.#options.transactionalId, ...this.#producer }
  }
}
