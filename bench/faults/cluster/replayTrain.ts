import type { ReplayView } from '../../../src/domain/replayView.ts'
import type { Api } from '../../run/api.ts'
import { withClient } from '../../run/world.ts'
import { untilEnded } from '../replays.ts'
import type { Stage } from '../stage.ts'
import { until, type Waiting } from '../waiting.ts'

interface LogProgress {
  readonly logId: number
  readonly partition: number
  readonly cursor: number
  readonly end: number
}

const patienceMs = 120_000

/** Replays of one log into fresh targets, one after the other; watched by SQL, so that no broker is needed for that. */
export class ReplayTrain {
  readonly #stage: Stage
  readonly #api: Api
  readonly #topic: string
  readonly #begun: ReplayView[] = []
  readonly #ended: ReplayView[] = []

  constructor(stage: Stage, api: Api, topic: string) {
    this.#stage = stage
    this.#api = api
    this.#topic = topic
  }

  get begun(): readonly ReplayView[] {
    return this.#begun
  }

  /** As they were when they had ended. */
  get ended(): readonly ReplayView[] {
    return this.#ended
  }

  get targets(): readonly string[] {
    return this.#begun.map(({ targetTopic }) => targetTopic)
  }

  /** Resolves when a replay is in its first half; another one is started when the last one is not. */
  async underWay(): Promise<void> {
    const { roles } = this.#stage
    if (this.#begun.length > this.#ended.length) {
      const logs = await this.logs()
      const left = logs.filter(({ cursor, end }) => cursor < end / 2)
      if (logs.length > 0 && left.length === logs.length) return
      await this.end()
    }
    await this.#start()
    await until(
      async () => {
        const logs = await this.logs()
        return logs.length > 0 && logs.every(({ cursor }) => cursor > 0) ? true : null
      },
      roles.waiting('a replay to move', patienceMs),
    )
  }

  /** Resolves when every log of the replay has moved, or has come to its end. */
  async untilAllMove(waiting: Waiting): Promise<void> {
    const before = new Map((await this.logs()).map(({ partition, cursor }) => [partition, cursor]))
    let standing: readonly LogProgress[] = []
    await until(
      async () => {
        standing = (await this.logs()).filter(
          ({ partition, cursor, end }) => cursor < end && cursor <= (before.get(partition) ?? 0),
        )
        return standing.length === 0 ? true : null
      },
      {
        ...waiting,
        explain: () => `standing still: ${JSON.stringify(standing)}\n${waiting.explain?.() ?? ''}`,
      },
    )
  }

  /** Waits for the end of the replay that runs, if one does. */
  async end(): Promise<void> {
    const running = this.#begun[this.#ended.length]
    if (running === undefined) return
    const waiting = this.#stage.roles.waiting(`the end of replay ${running.replayId}`, patienceMs)
    this.#ended.push(await untilEnded(this.#api, running.replayId, waiting))
  }

  /** How far the last replay is, log by log; empty while it is being planned. */
  logs(): Promise<LogProgress[]> {
    const replayId = this.#begun.at(-1)?.replayId ?? ''
    return withClient(this.#stage.ownerUrl, async (client) => {
      const { rows } = await client.query<{ log_id: string; partition: number; cursor: string; end: string }>(
        `select log_id, partition, cursor, to_offset as end from replay_logs join replays using (plan_id)
          where replay_id = $1 order by partition`,
        [replayId],
      )
      return rows.map(({ log_id, partition, cursor, end }) => ({
        logId: Number(log_id),
        partition,
        cursor: Number(cursor),
        end: Number(end),
      }))
    })
  }

  /** The transactional ids of the last replay, which are its cursor groups too. */
  transactionalIds(): Promise<string[]> {
    const replayId = this.#begun.at(-1)?.replayId ?? ''
    return withClient(this.#stage.ownerUrl, async (client) => {
      const { rows } = await client.query<{ id: string }>(
        `select 'replay-' || plan_id || '-' || log_id as id from replay_logs join replays using (plan_id)
          where replay_id = $1 order by partition`,
        [replayId],
      )
      return rows.map(({ id }) => id)
    })
  }

  async #start(): Promise<void> {
    const targetTopic = this.#stage.world.topicName(`target-${this.#begun.length + 1}`)
    this.#begun.push(await this.#api.startReplay({ topic: this.#topic, targetTopic }))
  }
}
