import { setTimeout as sleep } from 'node:timers/promises'
import type { ReplayRequest } from '../../src/domain/replay.ts'
import { hasEnded, type ReplayView } from '../../src/domain/replayView.ts'
import type { Api } from '../run/api.ts'
import type { RoleProcess } from '../run/roles.ts'
import type { Passage } from './contract.ts'
import { RecoveryClock } from './recovery.ts'
import { type Offsets, ReplayWatch, totalOf, untilEnded, viewOf } from './replays.ts'
import type { Environment } from './roles.ts'
import type { SourceLog } from './sourceLog.ts'
import type { Stage } from './stage.ts'

export interface ReplayRunsOptions {
  /** At once. */
  readonly workers: number
  readonly patienceMs: number
  /** For the workers, on top of the stage's. */
  readonly env?: Environment
}

/** For the stage of a scenario that harms replays. */
export const replayRunsEnv = {
  /** Small, so that a replay takes seconds and a fault hits the middle of something. */
  REPLAY_PAGE_EVENTS: '20',
  /** At most this many slices at once: two workers share four logs. */
  DATABASE_POOL_SIZE: '3',
}

/** What a killed process had sent reaches the broker within this time. */
const settleMs = 100
const lookMs = 100

/** Workers, and replays of one log into fresh targets, one after another: what scenarios do their worst to. */
export class ReplayRuns {
  readonly clock = new RecoveryClock()
  readonly stage: Stage
  readonly log: SourceLog
  readonly #options: ReplayRunsOptions
  readonly #begun: ReplayView[] = []
  readonly #ended: ReplayView[] = []
  #api: { readonly api: Api; readonly role: RoleProcess } | null = null
  #workers: RoleProcess[] = []
  #started = 0
  #current: ReplayWatch | null = null

  constructor(stage: Stage, log: SourceLog, options: ReplayRunsOptions) {
    this.stage = stage
    this.log = log
    this.#options = options
  }

  /** Starts the API and the workers; resolves when they are ready. */
  async open(): Promise<void> {
    this.#api = await this.stage.startApi()
    const starts = Array.from({ length: this.#options.workers }, () => this.#startWorker())
    this.#workers = await Promise.all(starts)
    await Promise.all(this.#workers.map((worker) => worker.ready(this.stage.context.signal)))
  }

  get api(): Api {
    if (this.#api === null) throw new Error('not open')
    return this.#api.api
  }

  get apiUrl(): string {
    return this.#api?.role.url ?? ''
  }

  get workers(): readonly RoleProcess[] {
    return this.#workers
  }

  /** To Kafka, of all nodes. */
  get passages(): readonly Passage[] {
    return this.stage.kafka.nodes.map(({ passage }) => passage)
  }

  /** All that were started. */
  get begun(): readonly ReplayView[] {
    return this.#begun
  }

  /** As they were when they had ended. */
  get ended(): readonly ReplayView[] {
    return this.#ended
  }

  pickWorker(): RoleProcess {
    const { random } = this.stage.context
    const worker = this.#workers[random.below(this.#workers.length)]
    if (worker === undefined) throw new Error('no worker is left')
    return worker
  }

  /** By its label, which is its client id too. */
  workerOf(clientId: string): RoleProcess {
    const worker = this.#workers.find(({ label }) => label === clientId)
    if (worker === undefined) throw new Error(`there is no worker ${clientId}`)
    return worker
  }

  /** Starts another worker in the place of one that is gone. */
  async replace(gone: RoleProcess): Promise<RoleProcess> {
    this.#workers = this.#workers.filter((worker) => worker !== gone)
    const started = await this.#startWorker()
    this.#workers.push(started)
    return started
  }

  /** The next replay, of the whole topic into a topic that is to be made unless the request says otherwise. */
  async begin(request: Partial<ReplayRequest> = {}, replayId?: string): Promise<ReplayWatch> {
    const { world } = this.stage
    const targetTopic = world.topicName(`target-${this.#begun.length + 1}`)
    const view = await this.api.startReplay({ topic: this.log.topic, targetTopic, ...request }, replayId)
    this.#current = this.watch(view)
    return this.#current
  }

  /** A replay that was started in some other way: it counts as begun here too. */
  watch(view: ReplayView): ReplayWatch {
    this.#begun.push(view)
    return new ReplayWatch(this.stage.world, this.stage.ownerUrl, view)
  }

  /** The one that was begun last. */
  current(): ReplayWatch {
    if (this.#current === null) throw new Error('no replay is under way')
    return this.#current
  }

  /** The current replay, or a new one when it is over before it could be hit: something was committed just now. */
  async underWay(): Promise<ReplayWatch> {
    for (;;) {
      const replay = this.#current ?? (await this.begin())
      const planned = (await replay.logs()).length > 0
      if (!planned || (await replay.unfinished()).size > 1) {
        await replay.untilBeyond(totalOf(await replay.cursors()), this.waiting('commits', 20))
        return replay
      }
      await this.end()
    }
  }

  /** Waits for `work`; whenever a replay ends meanwhile, the next one is begun, so that there is always something to hit. */
  async during<T>(work: Promise<T>): Promise<T> {
    const over = new AbortController()
    const goingOn = this.#goOn(over.signal)
    try {
      await Promise.race([work, goingOn])
      return await work
    } finally {
      over.abort()
      await goingOn
    }
  }

  /**
   * Waits until every log that has something left commits again, and tells the clock. `before`: the cursors to begin with;
   * as they are a moment from now when left out, when all that was sent before the fault has arrived.
   */
  async untilMoving(replay: ReplayWatch, before?: Offsets): Promise<number> {
    const { signal } = this.stage.context
    if (before === undefined) await sleep(settleMs, undefined, { signal })
    await replay.untilAllMove(
      before ?? (await replay.cursors()),
      this.waiting('commits of every partition after a fault'),
    )
    return this.clock.moved()
  }

  /** Waits for the end of the current replay, if there is one, however it ends. */
  async end(): Promise<ReplayView | null> {
    if (this.#current === null) return null
    const view = await this.ending(this.#current)
    this.#current = null
    return view
  }

  /** Waits for the end of a replay, however it ends. */
  async ending({ replayId }: ReplayWatch): Promise<ReplayView> {
    const view = await untilEnded(this.api, replayId, this.waiting(`the end of replay ${replayId}`))
    this.#ended.push(view)
    return view
  }

  waiting(what: string, everyMs?: number): ReturnType<Stage['roles']['waiting']> {
    return this.stage.roles.waiting(what, this.#options.patienceMs, everyMs)
  }

  async #goOn(over: AbortSignal): Promise<void> {
    while (!over.aborted) {
      const view = await viewOf(this.api, this.current().replayId)
      if (view !== null && hasEnded(view.status)) {
        await this.end()
        await this.begin()
      }
      await sleep(lookMs)
    }
  }

  /** Its client id is the name of its log, so that a tap can tell whose request it sees. */
  #startWorker(): Promise<RoleProcess> {
    const label = `worker-${++this.#started}`
    const env = { ...this.#options.env, KAFKA_TOPICS: this.log.topic, KAFKA_CLIENT_ID: label }
    return this.stage.roles.start('worker', env, { label })
  }
}
