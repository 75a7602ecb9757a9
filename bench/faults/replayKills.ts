import type { ReplayView } from '../../src/domain/replayView.ts'
import type { ScenarioContext } from './contract.ts'
import { type Kill, killAtRandom } from './kills.ts'
import { ReplayRuns, replayRunsEnv } from './replayRuns.ts'
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
export const replayKillsEnv = replayRunsEnv

/** Less than any partition needs that has to wait for a heartbeat time-out. */
const stoodStillMs = 2_000

/** Replays of one log into fresh targets, one after another; now and then one of the workers is killed and replaced. */
export class ReplayKills {
  readonly #stage: Stage
  readonly #runs: ReplayRuns
  readonly #options: ReplayKillsOptions
  #kills = 0
  #stoodStill = 0

  constructor(stage: Stage, log: SourceLog, options: ReplayKillsOptions) {
    this.#stage = stage
    this.#runs = new ReplayRuns(stage, log, options)
    this.#options = options
  }

  /** Kills so many times, with as many replays as that takes, and waits for the end of the last one. */
  async run({ rounds, say }: Pick<ScenarioContext, 'rounds' | 'say'>): Promise<void> {
    await this.#runs.open()
    for (let round = 1; round <= rounds; round++) {
      await this.#killOne()
      say(`round ${round} of ${rounds}, replay ${this.begun.length}`)
    }
    await this.#runs.end()
  }

  /** All that were started. */
  get begun(): readonly ReplayView[] {
    return this.#runs.begun
  }

  /** As they were when they had ended. */
  get ended(): readonly ReplayView[] {
    return this.#runs.ended
  }

  get kills(): number {
    return this.#kills
  }

  /** Kills after which a partition moved only when somebody noticed that its worker was gone. */
  get stoodStill(): number {
    return this.#stoodStill
  }

  get longestRecoveryMs(): number | null {
    return this.#runs.clock.longestMs
  }

  async #killOne(): Promise<void> {
    const { context, roles } = this.#stage
    const { kill = killAtRandom(context, roles, [100, 600, 1_500]) } = this.#options
    await this.#runs.underWay()
    const worker = this.#runs.pickWorker()
    // A replay that ends before the moment has come is followed by another one, in which it comes.
    await this.#runs.during(kill(worker))
    this.#runs.clock.fault()
    this.#kills++
    await this.#runs.replace(worker)
    if ((await this.#runs.untilMoving(this.#runs.current())) > stoodStillMs) this.#stoodStill++
  }
}
