import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { Admin } from 'kafkajs'

const produceKey = 0
/** The oldest version that takes zstd (KIP-110). */
const produceVersion = 7
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
      const socket = sockets.get(leader) ?? (await BrokerSocket.open(broker.host, broker.port))
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
    return leader.produce(this.#topic, partition, batch)
  }

  close(): void {
    for (const socket of new Set(this.#leaders.values())) socket.close()
  }
}

class BrokerSocket {
  readonly #socket: Socket
  readonly #waiting = new Map<number, PromiseWithResolvers<number>>()
  #correlation = 0
  #received: Buffer = Buffer.alloc(0)

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.setNoDelay(true)
    socket.setTimeout(requestTimeoutMs, () => {
      if (this.#waiting.size > 0) socket.destroy(new Error('the broker does not answer'))
    })
    socket.on('data', (chunk) => this.#read(chunk))
    socket.on('error', (error) => this.#fail(error))
    socket.on('close', () => this.#fail(new Error('the broker closed the connection')))
  }

  static async open(host: string, port: number): Promise<BrokerSocket> {
    const socket = connect({ host, port })
    await once(socket, 'connect', { signal: AbortSignal.timeout(10_000) })
    return new BrokerSocket(socket)
  }

  produce(topic: string, partition: number, batch: Buffer): Promise<number> {
    const correlation = this.#correlation++
    const waiting = Promise.withResolvers<number>()
    if (this.#socket.destroyed) waiting.reject(new Error('the connection to the broker is closed'))
    else this.#waiting.set(correlation, waiting)
    this.#socket.write(produceRequest(correlation, topic, partition, batch.length))
    this.#socket.write(batch)
    return waiting.promise
  }

  close(): void {
    this.#socket.destroy()
  }

  #read(chunk: Buffer): void {
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk])
    while (this.#received.length >= 4) {
      const end = 4 + this.#received.readInt32BE(0)
      if (this.#received.length < end) return
      this.#answer(this.#received.subarray(4, end))
      this.#received = this.#received.subarray(end)
    }
  }

  #answer(answer: Buffer): void {
    const correlation = answer.readInt32BE(0)
    const waiting = this.#waiting.get(correlation)
    if (waiting === undefined) return
    this.#waiting.delete(correlation)
    // One topic, one partition: correlation, count, name, count, partition, error, base offset.
    const at = 8 + 2 + answer.readInt16BE(8) + 4 + 4
    const code = answer.readInt16BE(at)
    if (code !== 0) waiting.reject(new Error(`the broker refused a batch with error ${code}`))
    else waiting.resolve(Number(answer.readBigInt64BE(at + 2)))
  }

  #fail(error: Error): void {
    for (const waiting of this.#waiting.values()) waiting.reject(error)
    this.#waiting.clear()
  }
}

/** Everything of a Produce request up to the record batch, which follows as it is. */
function produceRequest(correlation: number, topic: string, partition: number, batchBytes: number): Buffer {
  const name = Buffer.from(topic)
  const client = Buffer.from('bench')
  const request = Buffer.alloc(4 + 8 + 2 + client.length + 2 + 2 + 4 + 4 + 2 + name.length + 4 + 4 + 4)
  let at = request.writeInt32BE(request.length - 4 + batchBytes, 0)
  at = request.writeInt16BE(produceKey, at)
  at = request.writeInt16BE(produceVersion, at)
  at = request.writeInt32BE(correlation, at)
  at = request.writeInt16BE(client.length, at)
  at += client.copy(request, at)
  at = request.writeInt16BE(-1, at)
  at = request.writeInt16BE(-1, at)
  at = request.writeInt32BE(requestTimeoutMs, at)
  at = request.writeInt32BE(1, at)
  at = request.writeInt16BE(name.length, at)
  at += name.copy(request, at)
  at = request.writeInt32BE(1, at)
  at = request.writeInt32BE(partition, at)
  request.writeInt32BE(batchBytes, at)
  return request
}
