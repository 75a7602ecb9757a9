import { BrokerSocket } from '../../source/brokerSocket.ts'
import type { KafkaBed } from '../contract.ts'
import { until, type Waiting } from '../waiting.ts'
import {
  type ClusterRequest,
  type CoordinatorKind,
  describeTopics,
  electPreferred,
  findController,
  findCoordinator,
  type PartitionPlace,
  type PartitionState,
  reassign,
} from './requests.ts'

export type KafkaNode = KafkaBed['nodes'][number]

const silenceLimitMs = 2_000

/** Topics of Kafka's own, whose leaders are the coordinators. */
export const internalTopics = ['__consumer_offsets', '__transaction_state'] as const

/**
 * A cluster as its nodes see it, asked directly, beside all passages: the nodes one after the other until one answers.
 * Whatever is wrong with all of them is thrown, and may be gone a moment later.
 */
export class ClusterView {
  readonly #kafka: KafkaBed
  /** By position of the node. */
  readonly #addresses: readonly { readonly host: string; readonly port: number }[]

  constructor(kafka: KafkaBed) {
    this.#kafka = kafka
    this.#addresses = kafka.brokers.split(',').map((address) => {
      const at = address.lastIndexOf(':')
      return { host: address.slice(0, at), port: Number(address.slice(at + 1)) }
    })
  }

  node(id: number): KafkaNode {
    const found = this.#kafka.nodes.find((node) => node.id === id)
    if (found === undefined) throw new RangeError(`the cluster has no node ${id}`)
    return found
  }

  partitions(topics: readonly string[], except?: KafkaNode): Promise<PartitionState[]> {
    return this.#ask(describeTopics(topics), except)
  }

  controller(): Promise<number> {
    return this.#ask(findController())
  }

  coordinator(kind: CoordinatorKind, name: string): Promise<number> {
    return this.#ask(findCoordinator(kind, name))
  }

  reassign(place: PartitionPlace, replicas: readonly number[]): Promise<void> {
    return this.#ask(reassign(place, replicas))
  }

  electPreferred(place: PartitionPlace): Promise<boolean> {
    return this.#ask(electPreferred(place))
  }

  /** Resolves when every node is in sync again in all partitions. */
  untilWhole(topics: readonly string[], waiting: Waiting): Promise<void> {
    const isWhole = ({ leader, replicas, inSync }: PartitionState): boolean =>
      leader >= 0 && inSync.length === replicas.length
    return this.#untilAll(isWhole, () => this.partitions(topics), waiting)
  }

  /** Resolves when the node leads nothing any more, as the others see it. */
  untilDeposed(node: KafkaNode, topics: readonly string[], waiting: Waiting): Promise<void> {
    const isFree = ({ leader }: PartitionState): boolean => leader >= 0 && leader !== node.id
    return this.#untilAll(isFree, () => this.partitions(topics, node), waiting)
  }

  /** Resolves when all partitions are in such a state, as the nodes but `except` see them. */
  untilAll(
    topics: readonly string[],
    is: (state: PartitionState) => boolean,
    waiting: Waiting,
    except?: KafkaNode,
  ): Promise<void> {
    return this.#untilAll(is, () => this.partitions(topics, except), waiting)
  }

  /** A cluster in the middle of something may have no answer yet. */
  async #untilAll(
    is: (state: PartitionState) => boolean,
    question: () => Promise<readonly PartitionState[]>,
    waiting: Waiting,
  ): Promise<void> {
    let found = 'no answer'
    await until(
      async () => {
        try {
          const others = (await question()).filter((state) => !is(state))
          found = JSON.stringify(others)
          return others.length === 0 ? true : null
        } catch (error) {
          found = String(error)
          return null
        }
      },
      { ...waiting, everyMs: 100, explain: () => found },
    )
  }

  async #ask<T>(request: ClusterRequest<T>, except?: KafkaNode): Promise<T> {
    let failure: unknown = new Error('no node is running')
    for (const [index, node] of this.#kafka.nodes.entries()) {
      const address = this.#addresses[index]
      if (address === undefined || node === except || !node.isRunning) continue
      try {
        return await askNode(address, request)
      } catch (error) {
        failure = error
      }
    }
    throw failure
  }
}

async function askNode<T>(
  { host, port }: { readonly host: string; readonly port: number },
  { key, version, body, read }: ClusterRequest<T>,
): Promise<T> {
  const socket = await BrokerSocket.open(host, port, silenceLimitMs)
  try {
    return read(await socket.request(key, version, [body]))
  } finally {
    socket.close()
  }
}
