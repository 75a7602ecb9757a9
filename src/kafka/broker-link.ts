import type { KafkaClient, KafkaConnection } from './connection.ts'
import { KafkaFault } from './faults.ts'
import { createCluster, type KafkaBroker, type KafkaCluster } from './internals.ts'
import { type ClusterMetadata, metadataRequest } from './metadata-request.ts'
import { WireReader, type WireRequest } from './wire.ts'

const coordinatorTypes = { group: 0, transaction: 1 } as const

/**
 * Connections to the nodes of a cluster, for single requests: one request, one answer, nothing tried again behind the
 * caller's back. After a connection error drop the link and open another; nothing in it heals itself.
 */
export class BrokerLink {
  readonly #client: KafkaClient
  readonly #cluster: KafkaCluster
  readonly #nodes = new Map<string, Promise<KafkaBroker>>()
  readonly #addresses = new Map<number, { host: string; port: number }>()
  #connected: Promise<void> | null = null

  constructor(connection: KafkaConnection, requestTimeoutMs: number) {
    this.#client = connection.openClient({ requestTimeoutMs, retries: 1 })
    this.#cluster = createCluster(this.#client.kafka)
  }

  /** Cuts every connection; requests under way fail. */
  destroy(): void {
    this.#client.destroy()
  }

  /** A node that is connected: the one that was asked first. */
  async anyNode(): Promise<KafkaBroker> {
    this.#connected ??= this.#cluster.connect()
    await this.#connected
    const seed = this.#cluster.brokerPool.seedBroker
    if (seed === undefined) throw new KafkaFault('no broker', { connection: true })
    return connected(seed)
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

  async #nodeAt(id: number, { host, port }: { host: string; port: number }): Promise<KafkaBroker> {
    const seed = await this.anyNode()
    if (seed.connectionPool.host === host && seed.connectionPool.port === port) return seed
    const key = `${host}:${port}`
    let node = this.#nodes.get(key)
    if (node === undefined) {
      node = this.#openNode(id, host, port)
      this.#nodes.set(key, node)
    }
    return connected(await node)
  }

  async #openNode(id: number, host: string, port: number): Promise<KafkaBroker> {
    const { brokerPool, connectionPoolBuilder, rootLogger } = this.#cluster
    const connectionPool = await connectionPoolBuilder.build({ host, port })
    return brokerPool.createBroker({
      logger: rootLogger,
      versions: brokerPool.versions,
      connectionPool,
      nodeId: id,
    })
  }
}

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
