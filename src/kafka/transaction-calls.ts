import type { Cursor, TransactionLaneOptions } from '../ports.ts'
import type { BrokerLink } from './broker-link.ts'
import { faultFrom, KafkaFault } from './faults.ts'
import type { KafkaBroker } from './internals.ts'
import { untilSettled } from './until-settled.ts'

export interface ProducerIdentity {
  readonly producerId: string
  readonly producerEpoch: number
}

const concurrentTransactions = 51
/** COORDINATOR_LOAD_IN_PROGRESS, COORDINATOR_NOT_AVAILABLE, NOT_COORDINATOR: look for it again. */
const coordinatorMoves = [14, 15, 16]
/** The last transaction's markers are still being written, or the coordinator moves. */
const joinSettles = [concurrentTransactions, ...coordinatorMoves]

/**
 * The requests of one transaction to its coordinators, each sent once. kafkajs' own producer tries produce, sendOffsets and
 * the search for coordinators again by itself after lost answers; a delayed first copy could then end a later transaction
 * (KAFKA-17754), so its producer is not used. What was answered has no copy on its way, so requests that may be repeated
 * within a transaction are, after answers that call for it; EndTxn never is.
 */
export class TransactionCalls {
  readonly #link: BrokerLink
  readonly #options: TransactionLaneOptions
  readonly #joined = new Set<number>()
  readonly #coordinators = new Map<'transaction' | 'group', KafkaBroker>()
  #producer: ProducerIdentity | null = null
  #offsetsJoined = false

  constructor(link: BrokerLink, options: TransactionLaneOptions) {
    this.#link = link
    this.#options = options
  }

  /** Fences older owners of the transactional id; waits until their transaction has ended. */
  async initProducerId(signal: AbortSignal): Promise<ProducerIdentity> {
    const { transactionalId, transactionTimeoutMs } = this.#options
    const answer = await this.#ask('transaction', signal, (coordinator) =>
      coordinator.initProducerId({ transactionalId, transactionTimeout: transactionTimeoutMs }),
    )
    return { producerId: answer.producerId, producerEpoch: answer.producerEpoch }
  }

  begin(producer: ProducerIdentity): void {
    this.#producer = producer
    this.#joined.clear()
    this.#offsetsJoined = false
  }

  async addPartition(partition: number, signal: AbortSignal): Promise<void> {
    if (this.#joined.has(partition)) return
    const topics = [{ topic: this.#options.targetTopic, partitions: [partition] }]
    await this.#ask('transaction', signal, (coordinator) =>
      coordinator.addPartitionsToTxn({ ...this.#identity(), topics }),
    )
    this.#joined.add(partition)
  }

  async commitCursor(partition: number, cursor: Cursor, signal: AbortSignal): Promise<void> {
    const { groupId, targetTopic } = this.#options
    await this.#ask('transaction', signal, (coordinator) =>
      coordinator.addOffsetsToTxn({ ...this.#identity(), groupId }),
    )
    this.#offsetsJoined = true
    const position = { partition, offset: cursor.offset.toString(), metadata: cursor.metadata }
    const topics = [{ topic: targetTopic, partitions: [position] }]
    await this.#ask('group', signal, (coordinator) =>
      coordinator.txnOffsetCommit({ ...this.#identity(), groupId, topics }),
    )
  }

  /** EndTxn, once; nothing to say when neither records nor offsets joined the transaction. */
  async end(commit: boolean): Promise<void> {
    if (this.#joined.size === 0 && !this.#offsetsJoined) return
    const coordinator = this.#coordinators.get('transaction')
    if (coordinator === undefined) throw new KafkaFault('no coordinator')
    await coordinator.endTxn({ ...this.#identity(), transactionResult: commit })
  }

  #ask<T>(
    kind: 'transaction' | 'group',
    signal: AbortSignal,
    request: (coordinator: KafkaBroker) => Promise<T>,
  ): Promise<T> {
    const { transactionalId, groupId } = this.#options
    return untilSettled(joinSettles, signal, async () => {
      try {
        const known = this.#coordinators.get(kind)
        const key = kind === 'transaction' ? transactionalId : groupId
        const coordinator = known ?? (await this.#link.coordinator(kind, key))
        this.#coordinators.set(kind, coordinator)
        return await request(coordinator)
      } catch (error) {
        const fault = faultFrom(error)
        if (coordinatorMoves.includes(fault.kafkaCode ?? 0)) this.#coordinators.delete(kind)
        throw fault
      }
    })
  }

  #identity() {
    if (this.#producer === null) throw new KafkaFault('no producer id')
    return { transactionalId: this.#options.transactionalId, ...this.#producer }
  }
}
