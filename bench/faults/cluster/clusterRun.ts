import { setTimeout as sleep } from 'node:timers/promises'
import type { Outcome } from '../contract.ts'
import { addDamage } from '../damage.ts'
import { judgeLog } from '../judgeLog.ts'
import { judgeSource, judgeTargets } from '../judgeTarget.ts'
import { SteadyLoad } from '../load.ts'
import type { LogWatch } from '../logWatch.ts'
import { RecoveryClock } from '../recovery.ts'
import { receiptProblems } from '../replays.ts'
import type { Environment } from '../roles.ts'
import { makeSourceLog, type SourceLog } from '../sourceLog.ts'
import type { Stage } from '../stage.ts'
import { ClusterView, internalTopics, type KafkaNode } from './clusterView.ts'
import { ReplayTrain } from './replayTrain.ts'

const partitions = 6
const replayPartitions = 3
const replayRecords = 24_000
const ratePerSecond = 1_200
const patienceMs = 90_000

export const clusterEnv: Environment = {
  /** Small, so that a replay outlives several faults. */
  REPLAY_PAGE_EVENTS: '12',
}

/**
 * A cluster of three nodes that two ingest processes read a steady load from, while a worker replays an older log into
 * it, one replay after the other. Whatever is done to the nodes, both must go on.
 */
export class ClusterRun {
  readonly view: ClusterView
  /** Of ingest and of the replay that runs, and Kafka's own. */
  readonly topics: () => readonly string[]
  readonly #stage: Stage
  readonly #topic: string
  readonly #load: SteadyLoad
  readonly #watch: LogWatch
  readonly #train: ReplayTrain
  readonly #log: SourceLog
  readonly #ingestClock = new RecoveryClock()
  readonly #replayClock = new RecoveryClock()

  private constructor(stage: Stage, topic: string, log: SourceLog, train: ReplayTrain) {
    const { random, signal } = stage.context
    this.view = new ClusterView(stage.kafka)
    this.topics = () => [topic, ...train.targets.slice(-1), ...internalTopics]
    this.#stage = stage
    this.#topic = topic
    this.#log = log
    this.#train = train
    const { brokers } = stage.kafka
    this.#load = new SteadyLoad({ brokers, topic, partitions, seed: random.next(), signal })
    this.#watch = stage.watch(topic)
  }

  /** Runs `work` while everything runs and moves, and ends the load after it, whatever happened. */
  static async with<T>(stage: Stage, work: (run: ClusterRun) => Promise<T>): Promise<T> {
    const run = await ClusterRun.#prepare(stage)
    try {
      await run.#start()
      return await work(run)
    } finally {
      await run.#load.stop()
    }
  }

  static async #prepare(stage: Stage): Promise<ClusterRun> {
    const { world, roles } = stage
    const log = await makeSourceLog(stage, { partitions: replayPartitions, records: replayRecords })
    const topic = await world.createTopic('live', partitions)
    const { api } = await stage.startApi()
    await roles.startReady('worker', { KAFKA_TOPICS: log.topic })
    const train = new ReplayTrain(stage, api, log.topic)
    return new ClusterRun(stage, topic, log, train)
  }

  /** Both kinds of work are under way, and every node is in sync, before something is done to them. */
  async beforeFault(): Promise<void> {
    await this.view.untilWhole(this.topics(), this.#waiting('all nodes to be in sync'))
    await this.#train.underWay()
  }

  /** In turn one that is something special at the moment, and one at random. */
  async pickNode(round: number): Promise<{ readonly node: KafkaNode; readonly because: string }> {
    const { kafka, world, context } = this.#stage
    const [transactionalId = ''] = await this.#train.transactionalIds()
    const choices: readonly (readonly [because: string, id: () => Promise<number>])[] = [
      ['controller', () => this.view.controller()],
      ['coordinator of the consumer group', () => this.view.coordinator('group', world.name)],
      ['coordinator of a transaction', () => this.view.coordinator('transaction', transactionalId)],
      ['coordinator of a cursor', () => this.view.coordinator('group', transactionalId)],
    ]
    const choice = round % 2 === 0 ? undefined : choices[((round - 1) / 2) % choices.length]
    if (choice === undefined) {
      const node = kafka.nodes[context.random.below(kafka.nodes.length)]
      if (node === undefined) throw new Error('the cluster has no nodes')
      return { node, because: 'any' }
    }
    const [because, id] = choice
    return { node: this.view.node(await id()), because }
  }

  /** Of ingest's partitions that other nodes lead before `work`: how many there are, and of how many rows came during it. */
  async ledByOthers(
    node: KafkaNode,
    work: () => Promise<void>,
  ): Promise<{ readonly led: number; readonly grown: number }> {
    const states = await this.view.partitions([this.#topic])
    const before = await this.#watch.sizes()
    await work()
    const after = await this.#watch.sizes()
    const others = states.filter(({ leader }) => leader !== node.id).map(({ partition }) => partition)
    const grown = others.filter(
      (partition) => (after?.get(partition) ?? 0) > (before?.get(partition) ?? 0),
    ).length
    return { led: others.length, grown }
  }

  /** The fault begins, or ends, now: from here on nothing may stand still for longer than patience lasts. */
  async untilMoving(what: string): Promise<void> {
    this.#ingestClock.fault()
    this.#replayClock.fault()
    // What was under way when it happened is there by now.
    await sleep(settleMs, undefined, { signal: this.#stage.context.signal })
    const before = await this.#watch.total(this.#waiting('the database'))
    const sizes = (await this.#watch.sizes()) ?? new Map()
    this.#stage.context.say(`${what}: ${before} records are logged`)
    const ingested = this.#watch.untilAllGrow(
      sizes,
      partitions,
      this.#waiting(`rows of every partition after ${what}`),
    )
    const replayed = this.#train.untilAllMove(this.#waiting(`the replay to move after ${what}`))
    try {
      await Promise.all([
        ingested.then(() => this.#ingestClock.moved()),
        replayed.then(() => this.#replayClock.moved()),
      ])
    } catch (error) {
      throw new Error(`${String(error)}\n${await this.#describe()}`, { cause: error })
    }
  }

  /** Where produced records end and who leads, for whoever must find out what stands still. */
  async #describe(): Promise<string> {
    const states = await this.view.partitions(this.topics()).catch(String)
    return `produced: ${this.#load.score().ends.join()}; partitions: ${JSON.stringify(states)}`
  }

  /** Ends replay, load and roles in this order, and reads everything back. */
  async finish(): Promise<Omit<Outcome, 'rounds' | 'faults'>> {
    const { context, roles, ownerUrl, kafka } = this.#stage
    const { reader, say, signal } = context
    await this.#train.end()
    await this.#load.stop()
    const score = this.#load.score()
    await this.#watch.untilLogged(score.produced, this.#waiting('the rest of the rows'))
    await roles.stopAll()
    say('reading everything back')
    const live = await judgeLog(ownerUrl, score, {}, signal)
    const liveSource = await judgeSource(reader, kafka.brokers, score, signal)
    const log = await judgeLog(ownerUrl, this.#log.score, {}, signal)
    const targets = await judgeTargets(reader, kafka.brokers, this.#log.score, this.#train.begun, signal)
    return {
      events: score.produced + targets.records,
      damage: addDamage(live.damage, addDamage(log.damage, targets.damage)),
      longestRecoveryMs: Math.max(this.#ingestClock.longestMs ?? 0, this.#replayClock.longestMs ?? 0),
      problems: [
        ...live.problems,
        ...liveSource,
        ...log.problems,
        ...targets.problems,
        ...this.#train.ended.flatMap((view) => receiptProblems(view, this.#log.score, log)),
      ],
      notes: [
        `${score.produced} records ingested by two processes, ${this.#train.ended.length} replays of ` +
          `${this.#log.score.accepted} events; longest recovery of ingest ${seconds(this.#ingestClock)}, of replay ` +
          `${seconds(this.#replayClock)}`,
      ],
    }
  }

  async #start(): Promise<void> {
    const { roles } = this.#stage
    await this.#load.start(ratePerSecond)
    const env = { KAFKA_TOPICS: this.#topic }
    await roles.start('ingest', { ...env, BATCH_MODE: 'true' }, { label: 'ingest-1' })
    await roles.start('ingest', { ...env, BATCH_MODE: 'false' }, { label: 'ingest-2' })
    await this.#watch.untilAllGrow(new Map(), partitions, this.#waiting('the first rows'))
  }

  #waiting(what: string) {
    return this.#stage.roles.waiting(what, patienceMs)
  }
}

const settleMs = 100
const seconds = ({ longestMs }: RecoveryClock): string => `${((longestMs ?? 0) / 1000).toFixed(1)} s`
