import { setTimeout as sleep } from 'node:timers/promises'
import type { RoleProcess } from '../../run/roles.ts'
import { formatCount } from '../../run/say.ts'
import { openIncarnation, untilClosed } from '../closedLogs.ts'
import { type Pair, UncleanElection, uncleanConfig } from '../cluster/uncleanElection.ts'
import type { Outcome, Scenario, Score } from '../contract.ts'
import { continuedScore, cutScore } from '../cutScore.ts'
import { Cycle } from '../cycle.ts'
import { addDamage } from '../damage.ts'
import { judgeLog } from '../judgeLog.ts'
import { judgeSource } from '../judgeTarget.ts'
import { LoadedTopic, startIngest } from '../loadedTopic.ts'
import { RecoveryClock } from '../recovery.ts'
import { metricOf, seriesOf } from '../roleStatus.ts'
import type { Environment } from '../roles.ts'
import { Stage } from '../stage.ts'
import { until } from '../waiting.ts'

const doomedPartitions = 2
const everyPartition = Array.from({ length: doomedPartitions }, (_, partition) => partition)
const patienceMs = 120_000
const healthyRate = 200
/** The lag is that of the newest fetch; what was there by then is fetched within this time. */
const fetchMs = 1_000
/** Batches of 40 for each partition: what both nodes have, what only the leader has, what a hoarder cannot keep. */
const batches = { common: 10, lost: 6, hoarded: 60 }

/** What ingest does while the source is cut back, and how far the source reaches when it looks. */
interface Kind {
  readonly name: string
  readonly ingest: 'running' | 'frozen' | 'killed'
  /** Filled beyond the log again: only the leader epochs tell. */
  readonly beyond: boolean
  /** Whether the log has taken what is cut off, or only its process. */
  readonly committed: boolean
}

const kinds: readonly [Kind, ...Kind[]] = [
  { name: 'cut while it runs', ingest: 'running', beyond: false, committed: true },
  { name: 'refilled while dead', ingest: 'killed', beyond: true, committed: true },
  { name: 'refilled while frozen', ingest: 'frozen', beyond: true, committed: true },
  { name: 'refilled before it was committed', ingest: 'frozen', beyond: true, committed: false },
]
/** Fetched records wait for others, as long as can be. */
const hoarding: Environment = { BATCH_MODE: 'true', BATCH_SIZE: '2000', BATCH_MAX_WAIT_MS: '60000' }

export const ingestTruncated: Scenario = {
  name: 'ingest-truncated',
  group: 'ingest',
  title: 'the source cut back below the log by an unclean leader election, also refilled beyond the log',
  rounds: { full: kinds.length, short: 0 },
  limitMs: (rounds) => 300_000 + rounds * 180_000,
  run: (context) => Stage.with(context, 'ingest-truncated', { kafka: 'cluster', temporal: true }, run),
}

async function run(stage: Stage): Promise<Outcome> {
  // Only the newest records are lost: a duplicate must not outlive its original.
  const options = { partitions: doomedPartitions, config: uncleanConfig, load: { duplicates: false } }
  const doomed = await LoadedTopic.create(stage, 'doomed', options)
  const healthy = await LoadedTopic.create(stage, 'healthy', { partitions: 2 })
  const { role } = await stage.startApi({ KAFKA_TOPICS: `${doomed.name},${healthy.name}` })
  const truncated = new TruncatedRun(stage, { doomed, healthy, apiUrl: role.url })
  try {
    return await truncated.run()
  } finally {
    await Promise.all([doomed.load.stop(), healthy.load.stop()])
  }
}

interface Parts {
  readonly doomed: LoadedTopic
  readonly healthy: LoadedTopic
  readonly apiUrl: string
}

class TruncatedRun {
  readonly #stage: Stage
  readonly #doomed: LoadedTopic
  readonly #healthy: LoadedTopic
  readonly #apiUrl: string
  readonly #election: UncleanElection
  readonly #clock = new RecoveryClock()
  readonly #problems: string[] = []
  /** By incarnation: what the logs that are closed must hold. */
  readonly #closed: Score[] = []
  /** What was in the source before the load that runs. */
  #older: Score | null = null
  #cutOff = 0

  constructor(stage: Stage, { doomed, healthy, apiUrl }: Parts) {
    this.#stage = stage
    this.#doomed = doomed
    this.#healthy = healthy
    this.#apiUrl = apiUrl
    this.#election = new UncleanElection(stage, doomed)
  }

  async run(): Promise<Outcome> {
    const { context, roles } = this.#stage
    const { rounds, random, say } = context
    const cycle = new Cycle(kinds, random)
    await this.#healthy.load.start(healthyRate)
    let role = await this.#start()
    for (let round = 1; round <= rounds; round++) {
      const kind = cycle.next()
      role = await this.#round(role, kind)
      say(`round ${round} of ${rounds}: ${kind.name}, ${formatCount(this.#cutOff)} records cut off so far`)
    }
    await this.#untilTaken('the rest of the topic')
    await this.#healthy.untilTaken(this.#waiting('the rest of the other topic'))
    await roles.stop(role)
    return this.#outcome()
  }

  async #round(running: RoleProcess, kind: Kind): Promise<RoleProcess> {
    const { roles } = this.#stage
    const { load, logs } = this.#doomed
    const pair = await this.#election.place()
    await load.produceBatches(batches.common * doomedPartitions)
    await this.#untilTaken('what both nodes have')
    let role = running
    if (!kind.committed) {
      await roles.stop(role)
      role = await this.#start(hoarding)
    }
    await this.#election.isolate(pair)
    await load.produceBatches(batches.lost * doomedPartitions)
    await this.#untilRead(role, kind)
    const nexts = await logs.nextOffsets(doomedPartitions)
    if (kind.ingest === 'frozen') role.freeze()
    if (kind.ingest === 'killed') await roles.kill(role)
    await this.#cutBack(pair, kind)
    if (kind.ingest === 'frozen') role.thaw()
    if (!role.isRunning) role = await this.#start()
    await this.#goOn(role, kind, nexts)
    await this.#election.restore(pair, [this.#healthy.name])
    if (kind.committed) return role
    await roles.stop(role)
    return this.#start()
  }

  /** The log has what is about to be lost, or its process has it in hand. */
  async #untilRead(role: RoleProcess, { committed }: Kind): Promise<void> {
    if (committed) return this.#untilTaken('what only the leader has')
    const isFetched = async (): Promise<true | null> => {
      const lags = await seriesOf(role, 'ingest_lag_offsets', { topic: this.#doomed.name })
      return lags?.length === doomedPartitions && lags.every((lag) => lag === 0) ? true : null
    }
    await until(isFetched, this.#waiting('what only the leader has to be fetched'))
    await sleep(fetchMs, undefined, { signal: this.#stage.context.signal })
    const nexts = await this.#doomed.logs.nextOffsets(doomedPartitions)
    if (nexts.join() === this.#score().ends.join())
      this.#problems.push('what was fetched was committed at once')
  }

  /** Another leader without the newest records gets other ones in their place. */
  async #cutBack(pair: Pair, { name, beyond }: Kind): Promise<void> {
    const before = this.#score()
    await this.#election.depose(pair)
    await this.#doomed.beginAgain()
    const perPartition = beyond ? batches.lost + 4 : Math.floor(batches.lost / 2)
    await this.#doomed.load.produceBatches(perPartition * doomedPartitions)
    const added = this.#doomed.score()
    for (const [partition, end] of before.ends.entries()) {
      const start = added.tables[partition]?.offsetAt(0) ?? end
      if (start >= end) this.#problems.push(`${name}: nothing was cut off of partition ${partition}`)
      this.#cutOff += Math.max(0, end - start)
    }
    this.#older = before
  }

  /** What was committed and is gone closes the log, until the operator says so; all else goes on by itself. */
  async #goOn(role: RoleProcess, kind: Kind, nexts: readonly number[]): Promise<void> {
    const { name } = kind
    if (!kind.committed && (await this.#untilDecided(role))) return
    const place = { topic: this.#doomed.name, partitions: everyPartition }
    await untilClosed(role, 'SOURCE_TRUNCATED', place, this.#waiting(`the logs to be closed (${name})`))
    const before = (await this.#healthy.watch.sizes()) ?? new Map()
    await this.#healthy.untilAllGrow(before, this.#waiting(`rows of the other topic (${name})`))
    const now = await this.#doomed.logs.nextOffsets(doomedPartitions)
    if (kind.committed && now.join() !== nexts.join())
      this.#problems.push(`${name}: the logs went from ${nexts.join()} to ${now.join()}`)
    if (this.#older === null) throw new Error('nothing was cut back')
    this.#closed.push(cutScore(this.#older, now))
    await openIncarnation(this.#apiUrl, this.#doomed.name, null)
    this.#clock.fault(name)
    await this.#untilTaken(`what the new leader has (${name})`)
    this.#clock.moved()
  }

  /** More than a hoarder keeps. True: its logs go on behind what was cut off. False: it slept so long that it committed it first. */
  async #untilDecided(role: RoleProcess): Promise<boolean> {
    const { load, logs, name } = this.#doomed
    await load.produceBatches(batches.hoarded * doomedPartitions)
    const ends = this.#older?.ends ?? []
    return until(async () => {
      const nexts = await logs.nextOffsets(doomedPartitions)
      if (nexts.every((next, partition) => next > (ends[partition] ?? 0))) return true
      const closed = await metricOf(role, 'ingest_closed_logs', { topic: name, code: 'SOURCE_TRUNCATED' })
      return closed === doomedPartitions ? false : null
    }, this.#waiting('logs that go on, or are closed'))
  }

  /** Of everything that Kafka has now. */
  #score(): Score {
    const { load } = this.#doomed
    return this.#older === null ? load.score() : continuedScore(this.#older, load.score())
  }

  #untilTaken(what: string): Promise<void> {
    return this.#doomed.logs.untilAt(this.#score().ends, this.#waiting(what))
  }

  #start(env: Environment = {}): Promise<RoleProcess> {
    return startIngest(this.#stage, [this.#doomed, this.#healthy], env)
  }

  async #outcome(): Promise<Outcome> {
    const { context, kafka, ownerUrl } = this.#stage
    const { rounds, reader, say, signal } = context
    say('reading everything back')
    const lives = [...this.#closed, this.#score()]
    const judged = [await judgeLog(ownerUrl, this.#healthy.score(), {}, signal)]
    for (const [index, score] of lives.entries()) {
      const expectations = { incarnation: index + 1, incarnations: lives.length }
      judged.push(await judgeLog(ownerUrl, score, expectations, signal))
    }
    const sources = []
    for (const score of [this.#score(), this.#healthy.score()])
      sources.push(...(await judgeSource(reader, kafka.brokers, score, signal)))
    return {
      rounds,
      faults: rounds,
      events: [this.#healthy.score(), ...lives].reduce((sum, { produced }) => sum + produced, 0),
      damage: judged.map(({ damage }) => damage).reduce(addDamage),
      longestRecoveryMs: this.#clock.longestMs,
      problems: [...this.#problems, ...judged.flatMap(({ problems }) => problems), ...sources],
      notes: [
        `${formatCount(this.#cutOff)} records cut off by ${rounds} unclean elections, ${lives.length} incarnations; ` +
          `recovery counted from the operator's command`,
        this.#clock.byKind(),
      ],
    }
  }

  #waiting(what: string) {
    return this.#stage.roles.waiting(what, patienceMs)
  }
}
