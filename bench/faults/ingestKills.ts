import { setTimeout as sleep } from 'node:timers/promises'
import type { RoleProcess } from '../run/roles.ts'
import { formatCount } from '../run/say.ts'
import type { ScenarioContext, Score } from './contract.ts'
import { type Kill, killAtRandom } from './kills.ts'
import { SteadyLoad } from './load.ts'
import type { LogWatch, Sizes } from './logWatch.ts'
import { RecoveryClock } from './recovery.ts'
import type { Environment } from './roles.ts'
import type { Stage } from './stage.ts'

export interface IngestKillsOptions {
  /** Default: at a random moment. */
  readonly kill?: Kill
  /** One kill in so many is followed by a second one before the new process can have written; 0: none is. */
  readonly doubleEvery: number
  /** False: a load of valid events only. */
  readonly mixed: boolean
  readonly patienceMs: number
}

const partitions = 4
const ratePerSecond = 1_500

/** Each life of the process draws one: latency first, or throughput first with small and with large groups. */
const settings: readonly [Environment, ...Environment[]] = [
  { BATCH_MODE: 'false' },
  { BATCH_MODE: 'true', BATCH_SIZE: '100' },
  { BATCH_MODE: 'true', BATCH_SIZE: '2000', BATCH_MAX_WAIT_MS: '400' },
]

/**
 * One ingest process at a time under a steady load, killed and replaced. One consumer group all along: each new process
 * takes the partitions over from the one that was killed.
 */
export class IngestKills {
  readonly #stage: Stage
  readonly #options: IngestKillsOptions
  readonly #clock = new RecoveryClock()
  readonly #topic: string
  readonly #load: SteadyLoad
  readonly #watch: LogWatch
  #role: RoleProcess | null = null
  #kills = 0
  #doubleKills = 0

  private constructor(stage: Stage, options: IngestKillsOptions, topic: string) {
    const { brokers } = stage.kafka
    const { random, signal } = stage.context
    this.#stage = stage
    this.#options = options
    this.#topic = topic
    const mix = { badRecords: options.mixed, duplicates: options.mixed }
    this.#load = new SteadyLoad({ brokers, topic, partitions, seed: random.next(), ...mix, signal })
    this.#watch = stage.watch(topic)
  }

  static async open(stage: Stage, options: IngestKillsOptions): Promise<IngestKills> {
    return new IngestKills(stage, options, await stage.world.createTopic('source', partitions))
  }

  /** Kills so many times while the load goes on, then waits until everything is logged. */
  async run({ rounds, say }: Pick<ScenarioContext, 'rounds' | 'say'>): Promise<void> {
    const { roles } = this.#stage
    const { patienceMs } = this.#options
    await this.#load.start(ratePerSecond)
    let role = await this.#start()
    await this.#untilAllGrow('the first rows', new Map())
    for (let round = 1; round <= rounds; round++) {
      role = await this.#round(role)
      say(`round ${round} of ${rounds}, ${formatCount(this.score().produced)} records produced`)
    }
    await this.#load.pause()
    const { produced } = this.score()
    await this.#watch.untilLogged(produced, roles.waiting('the rest of the rows', patienceMs))
    this.#role = role
  }

  /** SIGTERM for the last process; returns how long it took, ms. */
  async stop(): Promise<number> {
    return this.#role === null ? 0 : this.#stage.roles.stop(this.#role)
  }

  /** Ends the load. What it has produced is the score from here on. */
  async close(): Promise<void> {
    await this.#load.stop()
  }

  score(): Score {
    return this.#load.score()
  }

  get kills(): number {
    return this.#kills
  }

  /** Kills of a process that had not written yet. */
  get doubleKills(): number {
    return this.#doubleKills
  }

  get longestRecoveryMs(): number | null {
    return this.#clock.longestMs
  }

  async #round(running: RoleProcess): Promise<RoleProcess> {
    const { context, roles } = this.#stage
    const { random, signal } = context
    const { doubleEvery, kill = killAtRandom(context, roles, [60, 400, 1_500]) } = this.#options
    await kill(running)
    this.#killed()
    let role = await this.#start()
    if (doubleEvery > 0 && random.below(doubleEvery) === 0) {
      await sleep(random.below(3_000), undefined, { signal })
      await roles.kill(role)
      this.#killed()
      this.#doubleKills++
      role = await this.#start()
    }
    // What the killed process had sent is there by now; the new one has hardly begun to start.
    const before = (await this.#watch.sizes()) ?? new Map()
    await this.#untilAllGrow('rows of every partition after a kill', before)
    this.#clock.moved()
    return role
  }

  #killed(): void {
    this.#clock.fault()
    this.#kills++
  }

  #untilAllGrow(what: string, before: Sizes): Promise<void> {
    const waiting = this.#stage.roles.waiting(what, this.#options.patienceMs)
    return this.#watch.untilAllGrow(before, partitions, waiting)
  }

  #start(): Promise<RoleProcess> {
    const env = this.#stage.context.random.pick(settings)
    return this.#stage.roles.start('ingest', { KAFKA_TOPICS: this.#topic, ...env })
  }
}
