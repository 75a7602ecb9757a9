import { setTimeout as sleep } from 'node:timers/promises'
import type { RoleProcess } from '../../run/roles.ts'
import { formatCount, formatSeconds } from '../../run/say.ts'
import type { Outcome, Scenario, ScenarioContext } from '../contract.ts'
import { judgeLog } from '../judgeLog.ts'
import { judgeSource } from '../judgeTarget.ts'
import { SteadyLoad } from '../load.ts'
import type { LogWatch } from '../logWatch.ts'
import { RecoveryClock } from '../recovery.ts'
import type { Environment } from '../roles.ts'
import { Stage } from '../stage.ts'

const partitions = 4
const ratePerSecond = 1_500
/** Moving again takes a new process some seconds; on a machine that others use too it may take many. */
const patienceMs = 60_000

/** Each life of the process draws one: latency first, or throughput first with small and with large groups. */
const settings: readonly [Environment, ...Environment[]] = [
  { BATCH_MODE: 'false' },
  { BATCH_MODE: 'true', BATCH_SIZE: '100' },
  { BATCH_MODE: 'true', BATCH_SIZE: '2000', BATCH_MAX_WAIT_MS: '400' },
]

export const ingestKillRandom: Scenario = {
  name: 'ingest-kill-random',
  group: 'ingest',
  title: 'kill -9 of the ingest process at random moments under steady load',
  rounds: { full: 100, short: 8 },
  run: (context) =>
    Stage.with(context, 'ingest-kill-random', {}, (stage) => new IngestKills(stage).run(context)),
}

/** One consumer group all along: each new process takes the partitions over from the one that was killed. */
class IngestKills {
  readonly #stage: Stage
  readonly #clock = new RecoveryClock()
  #kills = 0
  #killsBeforeRows = 0

  constructor(stage: Stage) {
    this.#stage = stage
  }

  async run(context: ScenarioContext): Promise<Outcome> {
    const { random, rounds, reader, say, signal } = context
    const { world, kafka, roles, ownerUrl } = this.#stage
    const topic = await world.createTopic('source', partitions)
    const load = new SteadyLoad({
      brokers: kafka.brokers,
      topic,
      partitions,
      seed: random.next(),
      signal,
    })
    const watch = this.#stage.watch(topic)
    try {
      await load.start(ratePerSecond)
      let role = await this.#start(context, topic)
      await watch.untilAllGrow(new Map(), partitions, roles.waiting('the first rows', patienceMs))
      for (let round = 1; round <= rounds; round++) {
        role = await this.#round(context, watch, role, topic)
        say(`round ${round} of ${rounds}, ${formatCount(load.score().produced)} records produced`)
      }
      await load.pause()
      const score = load.score()
      await watch.untilLogged(score.produced, roles.waiting('the rest of the rows', patienceMs))
      const stopMs = await roles.stop(role)
      say('reading everything back')
      const log = await judgeLog(ownerUrl, score, {}, signal)
      const source = await judgeSource(reader, kafka.brokers, score, signal)
      return {
        rounds,
        faults: this.#kills,
        events: score.produced,
        damage: log.damage,
        longestRecoveryMs: this.#clock.longestMs,
        problems: [...log.problems, ...source],
        notes: [
          `${this.#killsBeforeRows} of the kills hit a process that had not written yet`,
          `SIGTERM at the end took ${formatSeconds(stopMs / 1000)}`,
        ],
      }
    } finally {
      await load.stop()
    }
  }

  /** Kills at a random moment, now and then also the next process before it has written anything. */
  async #round(
    context: ScenarioContext,
    watch: LogWatch,
    running: RoleProcess,
    topic: string,
  ): Promise<RoleProcess> {
    const { random, signal } = context
    const { roles } = this.#stage
    await sleep(random.below(random.pick([60, 400, 1_500])), undefined, { signal })
    await roles.kill(running)
    this.#clock.fault()
    this.#kills++
    let role = await this.#start(context, topic)
    if (random.below(5) === 0) {
      await sleep(random.below(3_000), undefined, { signal })
      await roles.kill(role)
      this.#clock.fault()
      this.#kills++
      this.#killsBeforeRows++
      role = await this.#start(context, topic)
    }
    const before = (await watch.sizes()) ?? new Map()
    await watch.untilAllGrow(before, partitions, roles.waiting('rows after a kill', patienceMs))
    this.#clock.moved()
    return role
  }

  #start({ random }: ScenarioContext, topic: string): Promise<RoleProcess> {
    return this.#stage.roles.start('ingest', { KAFKA_TOPICS: topic, ...random.pick(settings) })
  }
}
