import { offset } from '../domain/model.ts'
import { ServiceError } from '../errors.ts'
import type {
  Cursor,
  ProducePage,
  TransactionLane,
  TransactionLaneFactory,
  TransactionLaneOptions,
} from '../ports.ts'
import { BrokerLink, sendRequest } from './broker-link.ts'
import type { KafkaConnection } from './connection.ts'
import { within } from './deadline.ts'
import { KafkaFault, unavailable } from './faults.ts'
import { stableOffsetRequest } from './offset-fetch-request.ts'
import { PageSender } from './page-sender.ts'
import { type ProducerIdentity, TransactionCalls } from './transaction-calls.ts'
import { untilSettled } from './until-settled.ts'

export interface KafkaTransactionLaneFactory extends TransactionLaneFactory {
  /**
   * Fences every older owner of the transactional id, lets its transaction end, and answers the final cursor.
   * Throws KAFKA_UNAVAILABLE.
   */
  fence(options: TransactionLaneOptions, signal: AbortSignal): Promise<Cursor | null>
}

/**
 * Each request gets this long; kafkajs tries none of them again. A frozen leader or coordinator is given up after it, and by
 * then has a successor; a follower that is missing has left the replicas in sync (9 s by default), for which requests wait.
 */
const requestTimeoutMs = 12_000
/** Each call of a lane; `begin` may have to wait until an older transaction has ended. */
const callLimitMs = 60_000
/** The cursor is kept at partition 0 of the target topic. */
const cursorPartition = 0
/** UNSTABLE_OFFSET_COMMIT, and a coordinator that moves or loads. */
const cursorSettles = [88, 14, 15, 16]

/** Opens transactional producers for replay: own requests over kafkajs' connections (design §6). */
export function createTransactionLaneFactory(connection: KafkaConnection): KafkaTransactionLaneFactory {
  const open = async (options: TransactionLaneOptions, signal: AbortSignal): Promise<TransactionLane> => {
    const lane = new Lane(connection, options, signal)
    await lane.connect()
    return lane
  }
  return {
    open,
    async fence(options, signal) {
      const lane = await open(options, signal)
      try {
        await lane.begin()
        const cursor = await lane.readCursor()
        await lane.abort()
        return cursor
      } finally {
        await lane.close()
      }
    },
  }
}

type LaneState = 'ready' | 'in transaction' | 'poisoned' | 'closed'

class Lane implements TransactionLane {
  readonly #options: TransactionLaneOptions
  readonly #signal: AbortSignal
  readonly #link: BrokerLink
  readonly #calls: TransactionCalls
  readonly #cut: () => void
  #producer: ProducerIdentity | null = null
  #sender: PageSender | null = null
  #state: LaneState = 'ready'
  #busy = false

  constructor(connection: KafkaConnection, options: TransactionLaneOptions, signal: AbortSignal) {
    this.#options = options
    this.#signal = signal
    this.#link = new BrokerLink(connection, requestTimeoutMs)
    this.#calls = new TransactionCalls(this.#link, options)
    this.#cut = () => this.#link.destroy()
    signal.addEventListener('abort', this.#cut, { once: true })
  }

  get producerId(): bigint | null {
    return this.#producer === null ? null : BigInt(this.#producer.producerId)
  }

  connect(): Promise<void> {
    return this.#call('the lane cannot connect', ['ready'], async () => {
      await this.#link.anyNode()
    })
  }

  begin(): Promise<void> {
    return this.#call('the transaction cannot begin', ['ready'], async (signal) => {
      this.#producer ??= await this.#calls.initProducerId(signal)
      this.#sender ??= new PageSender(this.#link, this.#options, this.#producer)
      this.#calls.begin(this.#producer)
      this.#state = 'in transaction'
    })
  }

  readCursor(): Promise<Cursor | null> {
    if (this.#producer === null) throw new Error('the cursor is read after the first begin')
    const { groupId, targetTopic } = this.#options
    return this.#call('the cursor cannot be read', ['ready', 'in transaction'], (signal) =>
      untilSettled(cursorSettles, signal, async () => {
        const coordinator = await this.#link.coordinator('group', groupId)
        const request = stableOffsetRequest(groupId, targetTopic, cursorPartition)
        const committed = await sendRequest(coordinator, request)
        return committed === null ? null : { offset: offset(committed.offset), metadata: committed.metadata }
      }),
    )
  }

  send(partition: number, page: ProducePage): Promise<void> {
    return this.#call('the records cannot be produced', ['in transaction'], async (signal) => {
      await this.#calls.addPartition(partition, signal)
      await this.#sender?.send(partition, page, signal)
    })
  }

  commit(cursor: Cursor): Promise<void> {
    return this.#call('the transaction cannot be committed', ['in transaction'], async (signal) => {
      await this.#calls.commitCursor(cursorPartition, cursor, signal)
      await this.#calls.end(true)
      this.#state = 'ready'
    })
  }

  abort(): Promise<void> {
    return this.#call('the transaction cannot be aborted', ['in transaction'], async () => {
      await this.#calls.end(false)
      this.#state = 'ready'
    })
  }

  async close(): Promise<void> {
    this.#state = 'closed'
    this.#signal.removeEventListener('abort', this.#cut)
    this.#link.destroy()
  }

  /**
   * One call at a time, within the limit. Whatever fails, but for a refused record, leaves the outcome unknown: the lane is
   * poisoned and its connections are cut, so that nothing of it can be sent or answered later.
   */
  async #call<T>(
    what: string,
    states: readonly LaneState[],
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    if (this.#state === 'poisoned') {
      throw unavailable(what, new KafkaFault('the lane failed before and must be replaced'))
    }
    if (this.#busy || !states.includes(this.#state)) {
      throw new Error(`${what}: the lane is ${this.#busy ? 'busy' : this.#state}`)
    }
    this.#busy = true
    try {
      return await within(callLimitMs, this.#signal, work)
    } catch (error) {
      if (error instanceof ServiceError && error.code === 'TARGET_REJECTED') throw error
      this.#state = 'poisoned'
      this.#link.destroy()
      throw unavailable(what, error)
    } finally {
      this.#busy = false
    }
  }
}
