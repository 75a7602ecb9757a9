import type { OffsetRange } from '../../judge/logAudit.ts'
import type { RoleProcess } from '../../run/roles.ts'
import type { Outcome, Scenario } from '../contract.ts'
import { Cycle } from '../cycle.ts'
import { judgeLog } from '../judgeLog.ts'
import { judgeSource } from '../judgeTarget.ts'
import { LoadedTopic, startIngest } from '../loadedTopic.ts'
import { RecoveryClock } from '../recovery.ts'
import {
  type Deletion,
  deleteRecords,
  expire,
  type Hindrance,
  hindrances,
  logStarts,
  untilBehind,
} from '../retention.ts'
import { metricOf } from '../roleStatus.ts'
import { Stage } from '../stage.ts'
import { until } from '../waiting.ts'

const partitions = 3
const ratePerSecond = 1_200
const patienceMs = 90_000
/** A gap is counted when its append has been answered. */
const metricLimitMs = 15_000

interface Kind {
  readonly name: string
  readonly hindrance: Hindrance
  readonly delete: Deletion
}

const { stopped, killed, frozen, slow } = hindrances
const kinds: readonly [Kind, ...Kind[]] = [
  { name: 'stopped, DeleteRecords', hindrance: stopped, delete: deleteRecords },
  { name: 'stopped, retention.ms', hindrance: stopped, delete: expire },
  { name: 'killed, DeleteRecords', hindrance: killed, delete: deleteRecords },
  { name: 'frozen, DeleteRecords', hindrance: frozen, delete: deleteRecords },
  { name: 'frozen, retention.ms', hindrance: frozen, delete: expire },
  { name: 'slow, DeleteRecords', hindrance: slow, delete: deleteRecords },
]

export const ingestRetention: Scenario = {
  name: 'ingest-retention',
  group: 'ingest',
  title: 'the source deletes records that a stopped, frozen or slow ingest has not read yet',
  rounds: { full: 2 * kinds.length, short: 2 },
  // Fetches bring little, so that a slow reader has most of what it lacks still before it.
  run: (context) => Stage.with(context, 'ingest-retention', { env: { KAFKA_FETCH_MAX_BYTES: '65536' } }, run),
}

async function run(stage: Stage): Promise<Outcome> {
  // A duplicate whose original was deleted unread is an event.
  const load = { duplicates: false }
  const retention = new RetentionRun(stage, await LoadedTopic.create(stage, 'source', { partitions, load }))
  try {
    return await retention.run()
  } finally {
    await retention.topic.load.stop()
  }
}

class RetentionRun {
  readonly topic: LoadedTopic
  readonly #stage: Stage
  readonly #clock = new RecoveryClock()
  readonly #problems: string[] = []
  /** By partition: where Kafka's log has ever begun. */
  readonly #starts = Array.from({ length: partitions }, () => new Set<number>())
  /** Gaps that were there before the process that runs now. */
  #older = 0
  #gaps = 0

  constructor(stage: Stage, topic: LoadedTopic) {
    this.#stage = stage
    this.topic = topic
  }

  async run(): Promise<Outcome> {
    const { rounds, random, say } = this.#stage.context
    const cycle = new Cycle(kinds, random)
    await this.topic.load.start(ratePerSecond)
    let role = await startIngest(this.#stage, [this.topic])
    await this.topic.untilAllGrow(new Map(), this.#waiting('the first rows'))
    for (let round = 1; round <= rounds; round++) {
      const kind = cycle.next()
      const before = this.#gaps
      role = await this.#round(role, kind)
      if (this.#gaps === before) this.#problems.push(`round ${round}: nothing was missed (${kind.name})`)
      say(`round ${round} of ${rounds}: ${kind.name}, ${this.#gaps} gaps so far`)
    }
    await this.topic.untilTaken(this.#waiting('the rest of the rows'))
    await this.#stage.roles.stop(role)
    return this.#outcome()
  }

  async #round(running: RoleProcess, { name, hindrance, ...kind }: Kind): Promise<RoleProcess> {
    const stage = this.#stage
    const { logs } = this.topic
    await hindrance.begin(stage, running)
    await untilBehind(this.topic, hindrance.lag, this.#waiting(`a lag (${name})`))
    const earlier = await logs.nextOffsets(partitions)
    const starts = await kind.delete(stage, this.topic)
    for (const [partition, start] of starts.entries()) this.#starts[partition]?.add(start)
    const nexts = await logs.nextOffsets(partitions)
    if (hindrance.isStill && nexts.join() !== earlier.join())
      this.#problems.push(`${name}: the logs moved from ${earlier.join()} to ${nexts.join()}`)
    hindrance.end(stage, running)
    this.#clock.fault(name)
    const role = running.isRunning ? running : await this.#start()
    await this.#untilBeyond(starts, name)
    this.#clock.moved()
    await this.#checkGaps({ role, name, starts, nexts, isExact: hindrance.isStill && !running.isRunning })
    return role
  }

  async #start(): Promise<RoleProcess> {
    this.#older = (await this.topic.logs.gaps(partitions)).flat().length
    return startIngest(this.#stage, [this.topic])
  }

  /** Everything that is left has begun to arrive. */
  async #untilBeyond(starts: readonly number[], name: string): Promise<void> {
    await until(
      async () => {
        const nexts = await this.topic.logs.nextOffsets(partitions)
        return nexts.every((next, partition) => next > (starts[partition] ?? 0)) ? true : null
      },
      this.#waiting(`rows behind what was deleted (${name})`),
    )
  }

  /** What was deleted in front of the logs is recorded, from where they were to where Kafka's log begins, and counted. */
  async #checkGaps({ role, name, starts, nexts, isExact }: Round): Promise<void> {
    const gaps = await this.topic.logs.gaps(partitions)
    this.#gaps = gaps.flat().length
    for (const [partition, start] of starts.entries()) {
      const [from, gap] = [nexts[partition] ?? 0, gaps[partition]?.at(-1)]
      const isNew = gap !== undefined && gap.to > from
      if (isExact && start > from && !(gap?.from === from && gap.to === start))
        this.#problems.push(`${name}: partition ${partition} lacks ${from}–${start}, recorded is ${say(gap)}`)
      if (isNew && (gap.from < from || gap.to !== start))
        this.#problems.push(
          `${name}: partition ${partition} has ${say(gap)}; it was at ${from}, Kafka begins at ${start}`,
        )
    }
    await this.#checkMetrics(role, gaps.flat(), name)
  }

  async #checkMetrics(role: RoleProcess, gaps: readonly OffsetRange[], name: string): Promise<void> {
    const counted = gaps.length - this.#older
    const labels = { topic: this.topic.name }
    const isCounted = async (): Promise<true | null> =>
      (await metricOf(role, 'ingest_gaps_total', labels)) === counted ? true : null
    await until(isCounted, this.#waiting(`the metric to count ${counted} gaps (${name})`, metricLimitMs))
  }

  async #outcome(): Promise<Outcome> {
    const { context, kafka, ownerUrl, world } = this.#stage
    const { rounds, reader, say: tell, signal } = context
    const score = this.topic.score()
    const gaps = await this.topic.logs.gaps(partitions)
    gaps.forEach((list, partition) => {
      const unknown = list.filter(({ to }) => this.#starts[partition]?.has(to) !== true)
      for (const gap of unknown) this.#problems.push(`Kafka never began at the end of the gap ${say(gap)}`)
    })
    tell('reading everything back')
    const log = await judgeLog(ownerUrl, score, { gaps }, signal)
    const source = await judgeSource(
      reader,
      kafka.brokers,
      score,
      signal,
      await logStarts(world, this.topic.name),
    )
    const offsets = gaps.flat().reduce((sum, { from, to }) => sum + to - from, 0)
    return {
      rounds,
      faults: this.#gaps,
      events: score.produced - offsets,
      damage: log.damage,
      longestRecoveryMs: this.#clock.longestMs,
      problems: [...this.#problems, ...log.problems, ...source],
      notes: [`${this.#gaps} gaps over ${offsets} offsets that ingest never saw`, this.#clock.byKind()],
    }
  }

  #waiting(what: string, limitMs = patienceMs) {
    return this.#stage.roles.waiting(what, limitMs)
  }
}

interface Round {
  readonly role: RoleProcess
  readonly name: string
  /** By partition: where Kafka's log begins, and where the logs were when it was known. */
  readonly starts: readonly number[]
  readonly nexts: readonly number[]
  /** Whether nothing that was fetched before can have been appended since. */
  readonly isExact: boolean
}

const say = (gap: OffsetRange | undefined): string => (gap === undefined ? 'no gap' : `${gap.from}–${gap.to}`)
