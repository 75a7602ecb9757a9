import type { KafkaClient, KafkaConnection } from './connection.ts'
import { pause } from './deadline.ts'
import { KafkaFault } from './faults.ts'
import { createCluster, type KafkaBroker, type KafkaCluster } from './internals.ts'
import { type ClusterMetadata, metadataRequest } from './metadata-request.ts'
import type { Seeds } from './seeds.ts'
import { WireReader, type WireRequest } from './wire.ts'

/** A seed that has not answered after this long is not waited for alone. */
const patienceMs = 1_000
const coordinatorTypes = { group: 0, transaction: 1 } as const

/**
 * Connections to the nodes of a cluster, for single requests: one request, one answer, nothing tried again behind the
 * caller's back. After a connection error drop the link and open another; nothing in it heals itself.
 */
export class BrokerLink {
  readonly #client: KafkaClient
  readonly #cluster: KafkaCluster
  readonly #seeds: Seeds
  readonly #nodes = new Map<string, Promise<KafkaBroker>>()
  readonly #addresses = new Map<number, Address>()
  #any: Promise<KafkaBroker> | null = null

  constructor(connection: KafkaConnection, requestTimeoutMs: number) {
    this.#client = connection.openClient({ requestTimeoutMs, retries: 1 })
    this.#cluster = createCluster(this.#client.kafka)
    this.#seeds = connection.seeds
  }

  /** Cuts every connection; requests under way fail. */
  destroy(): void {
    this.#client.destroy()
  }

  /** A node that is connected: the seed that was the first to answer. */
  async anyNode(): Promise<KafkaBroker> {
    this.#any ??= this.#firstToAnswer()
    return connected(await this.#any)
  }

  async node(id: number): Promise<KafkaBroker> {
    if (!this.#addresses.has(id)) await this.metadata([])
    const address = this.#addresses.get(id)
    if (address === undefined) throw new KafkaFault(`node ${id} is not known`, { connection: true })
    return this.#nodeAt(id, address)
  }

  async coordinator(kind: 'group' | 'transaction', key: string): Promise<KafkaBroker> {
    const any = await this.anyNode()
    const { coordinator } = await any.findGroupCoordinator({
      groupId: key,
      coordinatorType: coordinatorTypes[kind],
    })
    return this.#nodeAt(coordinator.nodeId, coordinator)
  }

  /** Metadata v10 of these topics (none: the nodes only), from `at` or any node. */
  async metadata(topics: readonly string[], at?: KafkaBroker): Promise<ClusterMetadata> {
    const metadata = await sendRequest(at ?? (await this.anyNode()), metadataRequest(topics))
    for (const { id, host, port } of metadata.nodes) this.#addresses.set(id, { host, port })
    return metadata
  }

  async #nodeAt(id: number, { host, port }: Address): Promise<KafkaBroker> {
    const seed = await this.anyNode()
    if (seed.connectionPool.host === host && seed.connectionPool.port === port) return seed
    const key = `${host}:${port}`
    let node = this.#nodes.get(key)
    if (node === undefined) {
      node = this.#openNode(id, { host, port })
      this.#nodes.set(key, node)
    }
    return connected(await node)
  }

  /** Asks one seed after the other, the next one when the one before has failed or keeps silent. */
  async #firstToAnswer(): Promise<KafkaBroker> {
    const found = new AbortController()
    const attempts: Promise<KafkaBroker>[] = []
    for (const address of this.#seeds.addresses)
      attempts.push(this.#openSeed(address, attempts.at(-1), found.signal))
    try {
      return await Promise.any(attempts)
    } finally {
      found.abort()
    }
  }

  async #openSeed(
    address: string,
    before: Promise<KafkaBroker> | undefined,
    found: AbortSignal,
  ): Promise<KafkaBroker> {
    if (before !== undefined) await Promise.race([pause(patienceMs, found), failure(before)])
    if (found.aborted) throw answeredElsewhere()
    const at = address.lastIndexOf(':')
    const node = await this.#openNode(null, {
      host: address.slice(0, at),
      port: Number(address.slice(at + 1)),
    })
    try {
      await node.connect()
      if (found.aborted) throw answeredElsewhere()
    } catch (error) {
      await node.disconnect()
      throw error
    }
    this.#seeds.answered(address)
    return node
  }

  /** Each node says for itself which requests it knows: in the course of an upgrade they differ. */
  async #openNode(nodeId: number | null, address: Address): Promise<KafkaBroker> {
    const { brokerPool, connectionPoolBuilder, rootLogger } = this.#cluster
    const connectionPool = await connectionPoolBuilder.build(address)
    return brokerPool.createBroker({ logger: rootLogger, versions: null, connectionPool, nodeId })
  }
}

interface Address {
  readonly host: string
  readonly port: number
}

const answeredElsewhere = (): KafkaFault => new KafkaFault('another node answered')

/** Resolves if and when the attempt fails. */
const failure = (attempt: Promise<unknown>): Promise<void> =>
  new Promise((resolve) => {
    attempt.catch(() => resolve())
  })

async function connected(broker: KafkaBroker): Promise<KafkaBroker> {
  if (!broker.isConnected()) await broker.connect()
  return broker
}

/** Sends a request of our own encoding over kafkajs' connection. */
export function sendRequest<T>(broker: KafkaBroker, wire: WireRequest<T>): Promise<T> {
  const { apiKey, apiVersion, apiName, body, read } = wire
  return broker.connectionPool.send({
    request: { apiKey, apiVersion, apiName, encode: async () => ({ buf: body, buffer: body }) },
    response: {
      decode: async (payload: Buffer) => ({ value: read(new WireReader(payload)) }),
      parse: async (decoded: { value: T }) => decoded.value,
    },
    logResponseError: false,
  })
}
