import type { LoadedTopic } from '../loadedTopic.ts'
import type { Stage } from '../stage.ts'
import { until } from '../waiting.ts'
import { ClusterView, internalTopics, type KafkaNode } from './clusterView.ts'

/** For a topic that rather goes on with less than waits for what it had. */
export const uncleanConfig = { 'min.insync.replicas': '1', 'unclean.leader.election.enable': 'true' }

const patienceMs = 90_000

/** Who leads a topic, and who takes over without having all of it. */
export interface Pair {
  readonly leader: KafkaNode
  readonly follower: KafkaNode
}

/**
 * What makes a topic lose its newest records in a cluster of three: its follower sleeps while the leader alone takes
 * records, and leads when it wakes and the leader is dead. The third node and the one that is awake are the quorum.
 */
export class UncleanElection {
  readonly #stage: Stage
  readonly #topic: LoadedTopic
  readonly #view: ClusterView

  constructor(stage: Stage, topic: LoadedTopic) {
    this.#stage = stage
    this.#topic = topic
    this.#view = new ClusterView(stage.kafka)
  }

  /** Two of the nodes, drawn at random, have the topic from now on. */
  async place(): Promise<Pair> {
    const { kafka, context } = this.#stage
    const nodes = [...kafka.nodes]
    const draw = (): KafkaNode => nodes.splice(context.random.below(nodes.length), 1)[0] ?? failed('no nodes')
    const pair = { leader: draw(), follower: draw() }
    const ids = [pair.leader.id, pair.follower.id]
    const { name, partitions } = this.#topic
    for (let partition = 0; partition < partitions; partition++)
      await this.#view.reassign({ topic: name, partition }, ids)
    await until(
      async () => {
        for (let partition = 0; partition < partitions; partition++)
          await this.#view.electPreferred({ topic: name, partition })
        const states = await this.#view.partitions([name])
        const isPlaced = states.every(
          ({ leader, replicas, inSync }) =>
            leader === ids[0] && replicas.join() === ids.join() && inSync.length === ids.length,
        )
        return isPlaced ? true : null
      },
      { ...this.#waiting(`${name} to be on the nodes ${ids.join()}`), everyMs: 200 },
    )
    return pair
  }

  /** The follower stops; resolves when the leader does not wait for it any more. */
  async isolate({ leader, follower }: Pair): Promise<void> {
    follower.freeze()
    await this.#view.untilAll(
      [this.#topic.name],
      ({ inSync }) => inSync.join() === String(leader.id),
      this.#waiting(`node ${leader.id} to be alone in sync`),
      follower,
    )
  }

  /** The leader dies, the follower wakes; resolves when it leads. */
  async depose({ leader, follower }: Pair): Promise<void> {
    await leader.kill()
    follower.thaw()
    await this.#view.untilAll(
      [this.#topic.name],
      (state) => state.leader === follower.id,
      this.#waiting(`node ${follower.id} to lead`),
    )
  }

  /** The dead one comes back and throws away what nobody else has; resolves when all are in sync. */
  async restore({ leader }: Pair, others: readonly string[]): Promise<void> {
    await leader.start()
    await this.#view.untilWhole(
      [this.#topic.name, ...others, ...internalTopics],
      this.#waiting('all nodes to be in sync'),
    )
  }

  #waiting(what: string) {
    return this.#stage.roles.waiting(what, patienceMs)
  }
}

function failed(why: string): never {
  throw new Error(why)
}
