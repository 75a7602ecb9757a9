import { setTimeout as sleep } from 'node:timers/promises'
import type { RoleProcess } from '../../run/roles.ts'
import { formatSeconds } from '../../run/say.ts'
import { createTopic } from '../../run/topics.ts'
import type { Outcome, Scenario } from '../contract.ts'
import { addDamage } from '../damage.ts'
import { judgeLog } from '../judgeLog.ts'
import { judgeSource } from '../judgeTarget.ts'
import { LoadedTopic, startIngest } from '../loadedTopic.ts'
import { readinessOf } from '../roleStatus.ts'
import { Stage } from '../stage.ts'
import { Standstill } from '../standstill.ts'
import { deleteTopic } from '../topicAgain.ts'
import { until } from '../waiting.ts'

const partitions = 2
const processes = 2
const rates = { present: 500, late: 500 }
const firstBatches = 20
const patienceMs = 90_000

export const ingestMissingTopic: Scenario = {
  name: 'ingest-missing-topic',
  group: 'ingest',
  title:
    'configured topics that are missing, appear, and are deleted under a running ingest, beside one that is there',
  rounds: { full: 5, short: 0 },
  run: (context) => Stage.with(context, 'ingest-missing-topic', {}, run),
}

async function run(stage: Stage): Promise<Outcome> {
  const present = await LoadedTopic.create(stage, 'present', { partitions })
  const late = Array.from({ length: stage.context.rounds }, (_, index) =>
    LoadedTopic.named(stage, `late-${index + 1}`, { partitions }),
  )
  const missing = new MissingRun(stage, present, late)
  try {
    return await missing.run()
  } finally {
    await Promise.all([present, ...late].map(({ load }) => load.stop()))
  }
}

class MissingRun {
  readonly #stage: Stage
  readonly #present: LoadedTopic
  readonly #late: readonly LoadedTopic[]
  readonly #problems: string[] = []

  constructor(stage: Stage, present: LoadedTopic, late: readonly LoadedTopic[]) {
    this.#stage = stage
    this.#present = present
    this.#late = late
  }

  async run(): Promise<Outcome> {
    const { context, roles } = this.#stage
    const { rounds, say } = context
    await this.#present.load.start(rates.present)
    const ingests = await this.#start()
    await this.#present.untilAllGrow(new Map(), this.#waiting('the first rows'))
    const standstill = new Standstill(this.#present.watch)
    for (const [index, topic] of this.#late.entries()) {
      await this.#untilMissed(ingests, topic)
      await this.#appear(topic)
      await this.#disappear(topic)
      await this.#untilMissed(ingests, topic)
      say(
        `round ${index + 1} of ${rounds}: the present topic stood still for ${formatSeconds(standstill.longestMs / 1000)} at most`,
      )
    }
    await standstill.stop()
    await this.#present.untilTaken(this.#waiting('the rest of the present topic'))
    await roles.stopAll()
    return this.#outcome(standstill.longestMs)
  }

  #start(): Promise<RoleProcess[]> {
    const topics = [this.#present, ...this.#late]
    return Promise.all(Array.from({ length: processes }, () => startIngest(this.#stage, topics)))
  }

  /** Readiness says which topic is missing. */
  async #untilMissed(ingests: readonly RoleProcess[], { name }: LoadedTopic): Promise<void> {
    for (const role of ingests)
      await until(
        async () => (isMissed(await readinessOf(role), name) ? true : null),
        this.#waiting(`${name} to be missed`),
      )
  }

  /** It has records before anybody looks, and gets more; all are taken from its start. */
  async #appear(topic: LoadedTopic): Promise<void> {
    const { world, context, kafka } = this.#stage
    const { random, reader, signal } = context
    const beforeAll = (await this.#present.watch.sizes()) ?? new Map()
    await createTopic(world.admin, topic.name, partitions, { 'retention.ms': '-1' })
    await topic.load.produceBatches(firstBatches)
    await topic.load.start(rates.late)
    await topic.untilAllGrow(new Map(), this.#waiting(`rows of ${topic.name}`))
    await this.#present.untilAllGrow(
      beforeAll,
      this.#waiting('rows of the present topic, another having appeared'),
    )
    await sleep(random.below(2_000), undefined, { signal })
    await topic.untilTaken(this.#waiting(`all of ${topic.name}`))
    this.#problems.push(...(await judgeSource(reader, kafka.brokers, topic.score(), signal)))
  }

  /** Under a running ingest; the present topic goes on. */
  async #disappear(topic: LoadedTopic): Promise<void> {
    await deleteTopic(this.#stage, topic.name)
    const beforeAll = (await this.#present.watch.sizes()) ?? new Map()
    await this.#present.untilAllGrow(
      beforeAll,
      this.#waiting('rows of the present topic, another being deleted'),
    )
    await topic.load.stop()
  }

  async #outcome(standstillMs: number): Promise<Outcome> {
    const { context, kafka, ownerUrl } = this.#stage
    const { rounds, reader, say, signal } = context
    say('reading everything back')
    const topics = [this.#present, ...this.#late]
    const judged = []
    for (const topic of topics) judged.push(await judgeLog(ownerUrl, topic.score(), {}, signal))
    const source = await judgeSource(reader, kafka.brokers, this.#present.score(), signal)
    return {
      rounds,
      faults: 2 * rounds,
      events: topics.reduce((sum, topic) => sum + topic.score().produced, 0),
      damage: judged.map(({ damage }) => damage).reduce(addDamage),
      longestRecoveryMs: standstillMs,
      problems: [...this.#problems, ...judged.flatMap(({ problems }) => problems), ...source],
      notes: [
        `the topic that was there all the while stood still for ${formatSeconds(standstillMs / 1000)} at most`,
      ],
    }
  }

  #waiting(what: string) {
    return this.#stage.roles.waiting(what, patienceMs)
  }
}

const isMissed = (readiness: Awaited<ReturnType<typeof readinessOf>>, topic: string): boolean =>
  readiness?.ready === false && readiness.checks['ingest']?.[topic] === 'KAFKA_UNAVAILABLE'
