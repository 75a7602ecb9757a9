import { setTimeout as sleep } from 'node:timers/promises'
import type { RoleProcess } from '../../run/roles.ts'
import { listLogs, openIncarnation, untilClosed } from '../closedLogs.ts'
import type { Outcome, Scenario, Score } from '../contract.ts'
import { cutScore } from '../cutScore.ts'
import { Cycle } from '../cycle.ts'
import { addDamage } from '../damage.ts'
import { judgeLog } from '../judgeLog.ts'
import { judgeSource } from '../judgeTarget.ts'
import { LoadedTopic, startIngest } from '../loadedTopic.ts'
import { RecoveryClock } from '../recovery.ts'
import { Stage } from '../stage.ts'
import { deleteTopic, makeAgain } from '../topicAgain.ts'

const doomedPartitions = 2
const patienceMs = 90_000
/** Of the topic that is made again, and of the one that is left alone. */
const rates = { doomed: 800, healthy: 300 }

/** What ingest does while the topic is deleted and made again. */
interface Kind {
  readonly name: string
  readonly ingest: 'stopped' | 'killed' | 'frozen' | 'running' | 'slow'
  /** Refilled beyond the old next offset. */
  readonly beyond: boolean
}

const kinds: readonly [Kind, ...Kind[]] = [
  { name: 'while stopped', ingest: 'stopped', beyond: false },
  { name: 'while it runs', ingest: 'running', beyond: false },
  { name: 'refilled while dead', ingest: 'killed', beyond: true },
  { name: 'refilled while frozen', ingest: 'frozen', beyond: true },
  { name: 'refilled while it runs', ingest: 'running', beyond: true },
  { name: 'refilled while it lags', ingest: 'slow', beyond: true },
]
const slownessMs = 300

export const ingestTopicRecreated: Scenario = {
  name: 'ingest-topic-recreated',
  group: 'ingest',
  title: 'the source topic deleted and made again, also refilled beyond the log before ingest looks',
  rounds: { full: 2 * kinds.length, short: 0 },
  run: (context) => Stage.with(context, 'ingest-topic-recreated', { temporal: true }, run),
}

async function run(stage: Stage): Promise<Outcome> {
  const doomed = await LoadedTopic.create(stage, 'doomed', { partitions: doomedPartitions })
  const healthy = await LoadedTopic.create(stage, 'healthy', { partitions: 2 })
  const { role } = await stage.startApi({ KAFKA_TOPICS: `${doomed.name},${healthy.name}` })
  const run = new RecreatedRun(stage, doomed, healthy, role.url)
  try {
    return await run.run()
  } finally {
    await Promise.all([doomed.load.stop(), healthy.load.stop()])
  }
}

/** A log that is closed for ever, and what it must hold. */
interface Life {
  readonly topicId: string
  readonly score: Score
}

class RecreatedRun {
  readonly #stage: Stage
  readonly #doomed: LoadedTopic
  readonly #healthy: LoadedTopic
  readonly #apiUrl: string
  readonly #clock = new RecoveryClock()
  readonly #lives: Life[] = []
  readonly #problems: string[] = []

  constructor(stage: Stage, doomed: LoadedTopic, healthy: LoadedTopic, apiUrl: string) {
    this.#stage = stage
    this.#doomed = doomed
    this.#healthy = healthy
    this.#apiUrl = apiUrl
  }

  async run(): Promise<Outcome> {
    const { rounds, random, say } = this.#stage.context
    const cycle = new Cycle(kinds, random)
    await this.#healthy.load.start(rates.healthy)
    let role = await this.#start()
    for (let round = 1; round <= rounds; round++) {
      const kind = cycle.next()
      role = await this.#round(role, kind)
      say(`round ${round} of ${rounds}: made again ${kind.name}`)
    }
    await this.#doomed.untilTaken(this.#waiting('the last incarnation'))
    await this.#healthy.untilTaken(this.#waiting('the other topic'))
    await this.#stage.roles.stop(role)
    return this.#outcome()
  }

  async #round(running: RoleProcess, kind: Kind): Promise<RoleProcess> {
    const { name, logs, load } = this.#doomed
    const before = (await this.#doomed.watch.sizes()) ?? new Map()
    await load.start(rates.doomed)
    await this.#doomed.untilAllGrow(before, this.#waiting('rows of the topic'))
    await sleep(this.#stage.context.random.below(1_000), undefined, { signal: this.#stage.context.signal })
    const role = await this.#makeAgain(running, kind)
    const partitions = Array.from({ length: doomedPartitions }, (_, partition) => partition)
    const place = { topic: name, partitions }
    await untilClosed(role, 'TOPIC_RECREATED', place, this.#waiting(`the logs to be closed (${kind.name})`))
    await this.#othersGoOn()
    await this.#bury(await logs.nextOffsets(doomedPartitions), kind)
    await this.#openIncarnations(partitions)
    this.#clock.fault(kind.name)
    await this.#doomed.untilTaken(this.#waiting(`the new incarnation (${kind.name})`))
    this.#clock.moved()
    return role
  }

  /** Returns the process that finds the new topic. */
  async #makeAgain(role: RoleProcess, { ingest, beyond }: Kind): Promise<RoleProcess> {
    const { roles, kafka } = this.#stage
    const doomed = this.#doomed
    if (ingest === 'slow') for (const { passage } of kafka.nodes) passage.delay(slownessMs, 0)
    if (ingest === 'frozen') role.freeze()
    if (ingest === 'stopped') await roles.stop(role)
    if (ingest === 'killed') await roles.kill(role)
    await doomed.load.pause()
    const nexts = await doomed.logs.nextOffsets(doomedPartitions)
    await deleteTopic(this.#stage, doomed.name)
    const gone = await doomed.logs.nextOffsets(doomedPartitions)
    this.#lives.push({ topicId: await this.#topicId(), score: doomed.score() })
    if (ingest !== 'running' && ingest !== 'slow' && gone.join() !== nexts.join())
      this.#problems.push(`the logs moved from ${nexts.join()} to ${gone.join()} while ingest was ${ingest}`)
    const longestAbsenceMs = ingest === 'running' && !beyond ? 3_000 : 0
    await makeAgain(this.#stage, doomed, { longestAbsenceMs, beyond })
    if (ingest === 'frozen') role.thaw()
    for (const { passage } of kafka.nodes) passage.reset()
    return role.isRunning ? role : this.#start()
  }

  async #topicId(): Promise<string> {
    const ids = new Set([...(await this.#doomed.logs.newest()).values()].map(({ topicId }) => topicId))
    const [id] = ids
    if (id === undefined || ids.size > 1) throw new Error(`the logs are of the topics ${[...ids].join()}`)
    return id
  }

  /** The other topic is ingested all the while. */
  async #othersGoOn(): Promise<void> {
    const before = (await this.#healthy.watch.sizes()) ?? new Map()
    await this.#healthy.untilAllGrow(before, this.#waiting('rows of the other topic'))
  }

  /** The old logs stay as they are: what they hold is what was produced to the old topic, up to here. */
  async #bury(nexts: readonly number[], { name }: Kind): Promise<void> {
    const life = this.#lives.at(-1)
    if (life === undefined) throw new Error('there is no life to end')
    const { topicId, score } = life
    const views = await listLogs(this.#apiUrl, this.#doomed.name)
    const closed = views.filter(({ state, topicId: id }) => state === 'closed' && id === topicId)
    if (closed.length !== doomedPartitions)
      this.#problems.push(`${name}: ${closed.length} of ${doomedPartitions} logs are listed as closed`)
    this.#lives[this.#lives.length - 1] = { topicId, score: cutScore(score, nexts) }
  }

  /** One by one, or all at once. */
  async #openIncarnations(partitions: readonly number[]): Promise<void> {
    const { name } = this.#doomed
    const which = this.#stage.context.random.below(2) === 0 ? [null] : partitions
    for (const partition of which) await openIncarnation(this.#apiUrl, name, partition)
  }

  #start(): Promise<RoleProcess> {
    return startIngest(this.#stage, [this.#doomed, this.#healthy])
  }

  async #outcome(): Promise<Outcome> {
    const { context, kafka, ownerUrl } = this.#stage
    const { rounds, reader, say, signal } = context
    const lives = [...this.#lives, { topicId: await this.#topicId(), score: this.#doomed.score() }]
    say('reading everything back')
    const judged = [await judgeLog(ownerUrl, this.#healthy.score(), {}, signal)]
    for (const { topicId, score } of lives)
      judged.push(await judgeLog(ownerUrl, score, { topicId, incarnations: lives.length }, signal))
    const ids = new Set(lives.map(({ topicId }) => topicId))
    if (ids.size !== lives.length) this.#problems.push('a topic that was made again had its old topic id')
    const sources = [this.#doomed, this.#healthy].map((topic) =>
      judgeSource(reader, kafka.brokers, topic.score(), signal),
    )
    const scores = [this.#healthy.score(), ...lives.map(({ score }) => score)]
    return {
      rounds,
      faults: this.#lives.length,
      events: scores.reduce((sum, { produced }) => sum + produced, 0),
      damage: judged.map(({ damage }) => damage).reduce(addDamage),
      longestRecoveryMs: this.#clock.longestMs,
      problems: [
        ...this.#problems,
        ...judged.flatMap(({ problems }) => problems),
        ...(await Promise.all(sources)).flat(),
      ],
      notes: [
        `${lives.length} incarnations of ${doomedPartitions} partitions; counted from the operator's command`,
        this.#clock.byKind(),
      ],
    }
  }

  #waiting(what: string) {
    return this.#stage.roles.waiting(what, patienceMs)
  }
}
