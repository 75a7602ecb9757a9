import type { Admin } from 'kafkajs'
import { BrokerSocket } from './brokerSocket.ts'
import { produceApi, produceHead, readProduceAnswer } from './requests.ts'

const requestTimeoutMs = 30_000

/** Sends finished record batches with acks=all, each once: a failure fails the batch, nothing is tried again. */
export class BatchProducer {
  readonly #topic: string
  readonly #leaders: ReadonlyMap<number, BrokerSocket>

  private constructor(topic: string, leaders: ReadonlyMap<number, BrokerSocket>) {
    this.#topic = topic
    this.#leaders = leaders
  }

  static async connect(admin: Admin, topic: string): Promise<BatchProducer> {
    const { brokers } = await admin.describeCluster()
    const { topics } = await admin.fetchTopicMetadata({ topics: [topic] })
    const sockets = new Map<number, BrokerSocket>()
    const leaders = new Map<number, BrokerSocket>()
    for (const { partitionId, leader } of topics[0]?.partitions ?? []) {
      const broker = brokers.find((candidate) => candidate.nodeId === leader)
      if (broker === undefined) throw new Error(`partition ${partitionId} of ${topic} has no leader`)
      const socket =
        sockets.get(leader) ?? (await BrokerSocket.open(broker.host, broker.port, requestTimeoutMs))
      sockets.set(leader, socket)
      leaders.set(partitionId, socket)
    }
    return new BatchProducer(topic, leaders)
  }

  get partitions(): readonly number[] {
    return [...this.#leaders.keys()].sort((a, b) => a - b)
  }

  /**
   * Resolves with the offset of the batch's first record when all replicas have it. Several batches may be under way;
   * those of one partition land in the order of the calls.
   */
  async send(partition: number, batch: Buffer): Promise<number> {
    const leader = this.#leaders.get(partition)
    if (leader === undefined) throw new Error(`${this.#topic} has no partition ${partition}`)
    const head = produceHead(this.#topic, partition, batch.length, requestTimeoutMs)
    const answer = readProduceAnswer(await leader.request(produceApi.key, produceApi.version, [head, batch]))
    if (answer.errorCode !== 0) throw new Error(`the broker refused a batch with error ${answer.errorCode}`)
    return answer.baseOffset
  }

  close(): void {
    for (const socket of new Set(this.#leaders.values())) socket.close()
  }
}
