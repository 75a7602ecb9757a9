import { setTimeout as sleep } from 'node:timers/promises'
import type { ReplayView } from '../../../src/domain/replayView.ts'
import type { Api } from '../../run/api.ts'
import type { RoleProcess } from '../../run/roles.ts'
import type { Outcome, Scenario, ScenarioContext } from '../contract.ts'
import { addDamage } from '../damage.ts'
import { judgeLog } from '../judgeLog.ts'
import { judgeTargets } from '../judgeTarget.ts'
import { RecoveryClock } from '../recovery.ts'
import { ReplayWatch, receiptProblems, totalOf, untilEnded } from '../replays.ts'
import { makeSourceLog, type SourceLog } from '../sourceLog.ts'
import { Stage } from '../stage.ts'

const partitions = 4
const records = { full: 60_000, short: 30_000 }
const patienceMs = 90_000
/** What a killed worker had sent reaches the broker within this time. */
const settleMs = 100
/** Less than any partition needs that has to wait for a heartbeat time-out. */
const stoodStillMs = 2_000

const env = {
  /** Small, so that a replay takes seconds and a kill hits the middle of something. */
  REPLAY_PAGE_EVENTS: '20',
  /** At most this many slices at once: two workers share four logs. */
  DATABASE_POOL_SIZE: '3',
}

export const replayKillRandom: Scenario = {
  name: 'replay-kill-random',
  group: 'replay',
  title: 'kill -9 of one of two replay workers at random moments',
  rounds: { full: 100, short: 6 },
  run: (context) =>
    Stage.with(context, 'replay-kill-random', { temporal: true, env }, async (stage) => {
      const log = await makeSourceLog(stage, {
        partitions,
        records: context.short ? records.short : records.full,
      })
      return new ReplayKills(stage, log).run(context)
    }),
}

class ReplayKills {
  readonly #stage: Stage
  readonly #log: SourceLog
  readonly #clock = new RecoveryClock()
  readonly #ended: ReplayView[] = []
  #workers: RoleProcess[] = []
  #started = 0
  #kills = 0
  #stoodStill = 0

  constructor(stage: Stage, log: SourceLog) {
    this.#stage = stage
    this.#log = log
  }

  async run(context: ScenarioContext): Promise<Outcome> {
    const { rounds, say } = context
    const { roles } = this.#stage
    const { api } = await this.#stage.startApi()
    this.#workers = await Promise.all([this.#startWorker(), this.#startWorker()])
    await Promise.all(this.#workers.map((worker) => worker.ready(context.signal)))
    let replay = await this.#startReplay(api)
    for (let round = 1; round <= rounds; round++) {
      replay = await this.#underWay(api, replay)
      await this.#killOne(context, replay)
      say(`round ${round} of ${rounds}, replay ${this.#ended.length + 1}`)
    }
    await this.#end(api, replay)
    await roles.stopAll()
    say(`reading ${this.#ended.length} replays back`)
    return this.#judge(context)
  }

  /** The replay, or a new one when it is over before it could be hit again. */
  async #underWay(api: Api, replay: ReplayWatch): Promise<ReplayWatch> {
    const { roles } = this.#stage
    const before = totalOf(await replay.ends())
    if (before === 0 || (await replay.unfinished()).size > 1) {
      await replay.untilBeyond(before, roles.waiting('records on the target', patienceMs, 20))
      return replay
    }
    await this.#end(api, replay)
    return this.#underWay(api, await this.#startReplay(api))
  }

  async #killOne({ random, signal }: ScenarioContext, replay: ReplayWatch): Promise<void> {
    const { roles } = this.#stage
    await sleep(random.below(random.pick([100, 600, 1_500])), undefined, { signal })
    const [killed] = this.#workers.splice(random.below(this.#workers.length), 1)
    if (killed === undefined) throw new Error('no worker is left')
    await roles.kill(killed)
    this.#clock.fault()
    this.#kills++
    this.#workers.push(await this.#startWorker())
    await sleep(settleMs, undefined, { signal })
    await replay.untilAllMove(
      await replay.ends(),
      roles.waiting('records of every partition after a kill', patienceMs),
    )
    if (this.#clock.moved() > stoodStillMs) this.#stoodStill++
  }

  async #end(api: Api, { replayId }: ReplayWatch): Promise<void> {
    const waiting = this.#stage.roles.waiting(`the end of replay ${replayId}`, patienceMs)
    this.#ended.push(await untilEnded(api, replayId, waiting))
  }

  async #startReplay(api: Api): Promise<ReplayWatch> {
    const { world, ownerUrl } = this.#stage
    const targetTopic = world.topicName(`target-${this.#ended.length + 1}`)
    const view = await api.startReplay({ topic: this.#log.topic, targetTopic })
    return new ReplayWatch(world, ownerUrl, view)
  }

  #startWorker(): Promise<RoleProcess> {
    this.#started++
    return this.#stage.roles.start(
      'worker',
      { KAFKA_TOPICS: this.#log.topic },
      { label: `worker-${this.#started}` },
    )
  }

  async #judge({ rounds, reader, signal }: ScenarioContext): Promise<Outcome> {
    const { kafka, ownerUrl } = this.#stage
    const { score } = this.#log
    const log = await judgeLog(ownerUrl, score, {}, signal)
    const targets = await judgeTargets(reader, kafka.brokers, score, this.#ended, signal)
    return {
      rounds,
      faults: this.#kills,
      events: targets.records,
      damage: addDamage(log.damage, targets.damage),
      longestRecoveryMs: this.#clock.longestMs,
      problems: [
        ...log.problems,
        ...targets.problems,
        ...this.#ended.flatMap((view) => receiptProblems(view, score, log)),
      ],
      notes: [
        `${this.#ended.length} replays of ${score.accepted} events; after ${this.#stoodStill} of ${this.#kills} kills ` +
          'a partition stood still until its heartbeat time-out',
      ],
    }
  }
}
