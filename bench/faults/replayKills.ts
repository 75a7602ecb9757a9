import { setTimeout as sleep } from 'node:timers/promises'
import type { ReplayView } from '../../src/domain/replayView.ts'
import type { Api } from '../run/api.ts'
import type { RoleProcess } from '../run/roles.ts'
import type { ScenarioContext } from './contract.ts'
import { type Kill, killAtRandom } from './kills.ts'
import { RecoveryClock } from './recovery.ts'
import { ReplayWatch, totalOf, untilEnded } from './replays.ts'
import type { SourceLog } from './sourceLog.ts'
import type { Stage } from './stage.ts'

export interface ReplayKillsOptions {
  /** Default: at a random moment. */
  readonly kill?: Kill
  /** At once. */
  readonly workers: number
  readonly patienceMs: number
}

/** For the stage of a scenario that kills workers. */
export const replayKillsEnv = {
  /** Small, so that a replay takes seconds and a kill hits the middle of something. */
  REPLAY_PAGE_EVENTS: '20',
  /** At most this many slices at once: two workers share four logs. */
  DATABASE_POOL_SIZE: '3',
}

/** What a killed worker had sent reaches the broker within this time. */
const settleMs = 100
/** Less than any partition needs that has to wait for a heartbeat time-out. */
const stoodStillMs = 2_000

/** Replays of one log into fresh targets, one after another; now and then one of the workers is killed and replaced. */
export class ReplayKills {
  readonly #stage: Stage
  readonly #log: SourceLog
  readonly #options: ReplayKillsOptions
  readonly #clock = new RecoveryClock()
  readonly #begun: ReplayView[] = []
  readonly #ended: ReplayView[] = []
  #workers: RoleProcess[] = []
  #started = 0
  #kills = 0
  #stoodStill = 0

  constructor(stage: Stage, log: SourceLog, options: ReplayKillsOptions) {
    this.#stage = stage
    this.#log = log
    this.#options = options
  }

  /** Kills so many times, with as many replays as that takes, and waits for the end of the last one. */
  async run({ rounds, say, signal }: Pick<ScenarioContext, 'rounds' | 'say' | 'signal'>): Promise<void> {
    const { api } = await this.#stage.startApi()
    const starts = Array.from({ length: this.#options.workers }, () => this.#startWorker())
    this.#workers = await Promise.all(starts)
    await Promise.all(this.#workers.map((worker) => worker.ready(signal)))
    let replay = await this.#startReplay(api)
    for (let round = 1; round <= rounds; round++) {
      replay = await this.#underWay(api, replay)
      await this.#killOne(replay)
      say(`round ${round} of ${rounds}, replay ${this.#begun.length}`)
    }
    await this.#end(api, replay)
  }

  /** All that were started. */
  get begun(): readonly ReplayView[] {
    return this.#begun
  }

  /** As they were when they had ended. */
  get ended(): readonly ReplayView[] {
    return this.#ended
  }

  get kills(): number {
    return this.#kills
  }

  /** Kills after which a partition moved only when somebody noticed that its worker was gone. */
  get stoodStill(): number {
    return this.#stoodStill
  }

  get longestRecoveryMs(): number | null {
    return this.#clock.longestMs
  }

  /** The replay, or a new one when it is over before it could be hit again. */
  async #underWay(api: Api, replay: ReplayWatch): Promise<ReplayWatch> {
    const { roles } = this.#stage
    const before = totalOf(await replay.ends())
    if (before === 0 || (await replay.unfinished()).size > 1) {
      await replay.untilBeyond(before, roles.waiting('records on the target', this.#options.patienceMs, 20))
      return replay
    }
    await this.#end(api, replay)
    return this.#underWay(api, await this.#startReplay(api))
  }

  async #killOne(replay: ReplayWatch): Promise<void> {
    const { context, roles } = this.#stage
    const { kill = killAtRandom(context, roles, [100, 600, 1_500]), patienceMs } = this.#options
    const [killed] = this.#workers.splice(context.random.below(this.#workers.length), 1)
    if (killed === undefined) throw new Error('no worker is left')
    await kill(killed)
    this.#clock.fault()
    this.#kills++
    this.#workers.push(await this.#startWorker())
    await sleep(settleMs, undefined, { signal: context.signal })
    await replay.untilAllMove(
      await replay.ends(),
      roles.waiting('records of every partition after a kill', patienceMs),
    )
    if (this.#clock.moved() > stoodStillMs) this.#stoodStill++
  }

  async #end(api: Api, { replayId }: ReplayWatch): Promise<void> {
    const waiting = this.#stage.roles.waiting(`the end of replay ${replayId}`, this.#options.patienceMs)
    this.#ended.push(await untilEnded(api, replayId, waiting))
  }

  async #startReplay(api: Api): Promise<ReplayWatch> {
    const { world, ownerUrl } = this.#stage
    const targetTopic = world.topicName(`target-${this.#begun.length + 1}`)
    const view = await api.startReplay({ topic: this.#log.topic, targetTopic })
    this.#begun.push(view)
    return new ReplayWatch(world, ownerUrl, view)
  }

  /** Its client id is the name of its log, so that a tap can tell whose request it sees. */
  #startWorker(): Promise<RoleProcess> {
    const label = `worker-${++this.#started}`
    const env = { KAFKA_TOPICS: this.#log.topic, KAFKA_CLIENT_ID: label }
    return this.#stage.roles.start('worker', env, { label })
  }
}
