import type { RoleProcess } from '../run/roles.ts'
import { formatSeconds } from '../run/say.ts'
import { ConsumerGroup } from './consumerGroup.ts'
import type { Outcome, Score } from './contract.ts'
import { stopAllInOrder, stopInOrder } from './ingestStop.ts'
import { judgeLog } from './judgeLog.ts'
import { judgeSource } from './judgeTarget.ts'
import { SteadyLoad } from './load.ts'
import type { LogWatch } from './logWatch.ts'
import { RecoveryClock } from './recovery.ts'
import type { Environment } from './roles.ts'
import type { Stage } from './stage.ts'
import type { Waiting } from './waiting.ts'

export interface UnderLoadOptions {
  /** Moving again takes a new process some seconds; on a machine that others use too it may take many. */
  readonly patienceMs?: number
  /** Of all partitions together. */
  readonly ratePerSecond?: number
  /** False: a load of valid events only. */
  readonly mixed?: boolean
}

export const ingestPartitions = 4
const defaultPatienceMs = 60_000
const defaultRatePerSecond = 1_500

/** Each life of a process draws one: latency first, or throughput first with small and with large groups. */
export const batchSettings: readonly [Environment, ...Environment[]] = [
  { BATCH_MODE: 'false' },
  { BATCH_MODE: 'true', BATCH_SIZE: '100' },
  { BATCH_MODE: 'true', BATCH_SIZE: '2000', BATCH_MAX_WAIT_MS: '400' },
]

/**
 * A topic of several partitions under a steady load, and the processes that ingest it in one consumer group: what
 * scenarios of ingest do their worst to.
 */
export class IngestUnderLoad {
  readonly stage: Stage
  readonly topic: string
  readonly clock = new RecoveryClock()
  readonly group: ConsumerGroup
  readonly #options: Required<UnderLoadOptions>
  readonly #load: SteadyLoad
  readonly #watch: LogWatch
  readonly #alive = new Set<RoleProcess>()
  readonly #problems: string[] = []
  #started = 0
  #kills = 0
  #stops = 0
  #longestStopMs = 0

  private constructor(stage: Stage, options: Required<UnderLoadOptions>, topic: string) {
    const { brokers } = stage.kafka
    const { random, signal } = stage.context
    this.stage = stage
    this.topic = topic
    this.group = new ConsumerGroup(stage.world.admin, stage.world.name)
    this.#options = options
    const mix = { badRecords: options.mixed, duplicates: options.mixed }
    const seed = random.next()
    this.#load = new SteadyLoad({ brokers, topic, partitions: ingestPartitions, seed, ...mix, signal })
    this.#watch = stage.watch(topic)
  }

  static async open(stage: Stage, options: UnderLoadOptions = {}): Promise<IngestUnderLoad> {
    const topic = await stage.world.createTopic('source', ingestPartitions)
    const { patienceMs = defaultPatienceMs, ratePerSecond = defaultRatePerSecond, mixed = true } = options
    return new IngestUnderLoad(stage, { patienceMs, ratePerSecond, mixed }, topic)
  }

  /** Begins the load; resolves when every partition has rows. Returns the processes, so many. */
  async begin(processes = 1): Promise<RoleProcess[]> {
    await this.#load.start(this.#options.ratePerSecond)
    const started = await Promise.all(Array.from({ length: processes }, () => this.start()))
    await this.untilAllMove('the first rows')
    return started
  }

  /** One more process. Its client id at Kafka and the name of its log are its label. */
  async start(env: Environment = {}): Promise<RoleProcess> {
    const label = `ingest-${++this.#started}`
    const drawn = this.stage.context.random.pick(batchSettings)
    const own = { KAFKA_TOPICS: this.topic, KAFKA_CLIENT_ID: label, ...drawn, ...env }
    const role = await this.stage.roles.start('ingest', own, { label })
    this.#alive.add(role)
    return role
  }

  /** Those that nobody has killed or stopped. */
  get processes(): readonly RoleProcess[] {
    return [...this.#alive]
  }

  /** kill -9; for a process that has been killed already: takes note of it, and resolves when it is gone. */
  async kill(role: RoleProcess): Promise<void> {
    if (this.#alive.delete(role)) this.#kills++
    await this.stage.roles.kill(role)
  }

  get kills(): number {
    return this.#kills
  }

  /** SIGTERM for all of these at once, as `stopAllInOrder`; they are all that there are. */
  async stopAll(): Promise<void> {
    const { processes } = this
    const { tookMs, problems } = await stopAllInOrder(this.stage, this.topic, processes)
    for (const role of processes) this.#stopped(role, tookMs)
    this.#problems.push(...problems)
  }

  /** SIGTERM for one of several; whatever is not in order about it is a problem. */
  async stop(role: RoleProcess): Promise<void> {
    const { tookMs, problems } = await stopInOrder(this.stage, role)
    this.#stopped(role, tookMs)
    this.#problems.push(...problems)
  }

  /** SIGTERM for one whose servers are in no state to let it leave in order: it must end in time all the same. */
  async stopInTime(role: RoleProcess): Promise<void> {
    const tookMs = await this.stage.roles.stop(role)
    this.#stopped(role, tookMs)
    if (role.exitCode === null) this.problem(`${role.label} did not end at SIGTERM and had to be killed`)
  }

  #stopped(role: RoleProcess, tookMs: number): void {
    this.#alive.delete(role)
    this.#stops++
    this.#longestStopMs = Math.max(this.#longestStopMs, tookMs)
  }

  /** Something did not hold. */
  problem(text: string): void {
    this.#problems.push(text)
  }

  /** Resolves when every partition has taken a record that was produced from now on. */
  async untilAllMove(what: string): Promise<void> {
    const produced = new Map(this.score().tables.map(({ size }, partition) => [partition, size]))
    await this.#watch.untilAllGrow(produced, ingestPartitions, this.waiting(what))
  }

  waiting(what: string, limitMs = this.#options.patienceMs, everyMs?: number): Waiting {
    return this.stage.roles.waiting(what, limitMs, everyMs)
  }

  /**
   * SIGTERM for all processes while the load goes on; a last one takes what is left, and is stopped too. The score is
   * final from here on.
   */
  async finish(): Promise<void> {
    await this.stopAll()
    await this.start()
    await this.settle()
    await this.stopAll()
    await this.#load.stop()
  }

  /** Ends the load, and resolves when everything produced is logged. */
  async settle(): Promise<void> {
    await this.#load.pause()
    await this.#watch.untilLogged(this.score().produced, this.waiting('the rest of the rows'))
  }

  /** Ends the load, however far the scenario came. */
  async close(): Promise<void> {
    await this.#load.stop()
  }

  score(): Score {
    return this.#load.score()
  }

  /** After `finish`: reads everything back. */
  async outcome(faults: number, notes: readonly string[]): Promise<Outcome> {
    const { context, kafka, ownerUrl } = this.stage
    const { rounds, reader, say, signal } = context
    const score = this.score()
    say('reading everything back')
    const log = await judgeLog(ownerUrl, score, {}, signal)
    const source = await judgeSource(reader, kafka.brokers, score, signal)
    const refused = log.deadLetters.get('UNSTORABLE') ?? 0
    if (refused > 0) this.problem(`${refused} records became dead letters because of the database`)
    if (faults === 0) this.problem('nothing was done to it')
    return {
      rounds,
      faults,
      events: score.produced,
      damage: log.damage,
      longestRecoveryMs: this.clock.longestMs,
      problems: [...this.#problems, ...log.problems, ...source],
      notes: [
        ...notes,
        `${this.#stops} times SIGTERM took ${formatSeconds(this.#longestStopMs / 1000)} at most`,
      ],
    }
  }
}

/** Runs `work` on a topic under load, ends it in order, and reads everything back. */
export async function underLoad(
  stage: Stage,
  options: UnderLoadOptions,
  work: (ingest: IngestUnderLoad) => Promise<{ readonly faults: number; readonly notes: readonly string[] }>,
): Promise<Outcome> {
  const ingest = await IngestUnderLoad.open(stage, options)
  try {
    const { faults, notes } = await work(ingest)
    await ingest.finish()
    return await ingest.outcome(faults, notes)
  } finally {
    await ingest.close()
  }
}
