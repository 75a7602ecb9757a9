import type { Client } from 'pg'
import { hashToHex } from '../../src/domain/hash.ts'
import { hasEnded, type ReplayView } from '../../src/domain/replayView.ts'
import { type Api, ApiError } from '../run/api.ts'
import { isStillBeingMade } from '../run/topics.ts'
import { type World, withClient } from '../run/world.ts'
import type { Score } from './contract.ts'
import type { LogJudgement } from './judgeLog.ts'
import { until, type Waiting } from './waiting.ts'

/** Offsets by partition. */
export type Offsets = ReadonlyMap<number, number>

/** One log of a replay. */
export interface ReplayedLog {
  readonly partition: number
  /** Where its cursor is kept. */
  readonly groupId: string
  /** Where it begins, and its end (exclusive). */
  readonly from: number
  readonly to: number
}

/** Where one replay is, asked of Kafka beside the roles that do it. */
export class ReplayWatch {
  readonly replayId: string
  readonly target: string
  readonly #world: World
  readonly #ownerUrl: string
  #exists = false
  #logs: readonly ReplayedLog[] = []

  constructor(world: World, ownerUrl: string, { replayId, targetTopic }: ReplayView) {
    this.#world = world
    this.#ownerUrl = ownerUrl
    this.replayId = replayId
    this.target = targetTopic
  }

  /** As they were planned; none before that. */
  async logs(): Promise<readonly ReplayedLog[]> {
    if (this.#logs.length === 0)
      this.#logs = await withClient(this.#ownerUrl, (client) => logsOf(client, this.replayId))
    return this.#logs
  }

  /**
   * By source partition, what is committed: nothing else moves a cursor, not even the end of an orphaned transaction. None
   * before the replay was planned.
   */
  async cursors(): Promise<Offsets> {
    const logs = await this.logs()
    return new Map(
      await Promise.all(
        logs.map(
          async ({ partition, groupId, from }) =>
            [partition, (await this.#cursorOf(groupId)) ?? from] as const,
        ),
      ),
    )
  }

  /** End offsets of the target by partition, below which everything is decided: records, and one marker per transaction. */
  async ends(): Promise<Offsets> {
    try {
      // kafkajs would ask for seconds before it says that a topic is not there.
      this.#exists ||= (await this.#world.admin.listTopics()).includes(this.target)
      if (!this.#exists) return new Map()
      const offsets = await this.#world.admin.fetchTopicOffsets(this.target)
      return new Map(offsets.map(({ partition, high }) => [partition, Number(high)]))
    } catch (error) {
      if (isStillBeingMade(error)) return new Map()
      throw error
    }
  }

  /** Partitions that have not come to the end of their range. */
  async unfinished(): Promise<ReadonlySet<number>> {
    const [logs, cursors] = [await this.logs(), await this.cursors()]
    const open = logs.filter(({ partition, to }) => (cursors.get(partition) ?? 0) < to)
    return new Set(open.map(({ partition }) => partition))
  }

  /** Resolves when the cursors together are beyond this. */
  async untilBeyond(total: number, waiting: Waiting): Promise<void> {
    await until(async () => (totalOf(await this.cursors()) > total ? true : null), waiting)
  }

  /** Resolves when every partition has committed something since `before`, or has come to its end. */
  async untilAllMove(before: Offsets, waiting: Waiting): Promise<void> {
    let standing: readonly number[] = []
    await until(
      async () => {
        const [logs, now] = [await this.logs(), await this.cursors()]
        standing = logs
          .filter(({ partition, to }) => (now.get(partition) ?? 0) < to)
          .map(({ partition }) => partition)
          .filter((partition) => (now.get(partition) ?? 0) <= (before.get(partition) ?? 0))
        return logs.length > 0 && standing.length === 0 ? true : null
      },
      {
        ...waiting,
        explain: () => `partitions ${standing.join()} stand still\n${waiting.explain?.() ?? ''}`,
      },
    )
  }

  /** Null where there is none. */
  async #cursorOf(groupId: string): Promise<number | null> {
    const topics = await this.#world.admin.fetchOffsets({ groupId, topics: [this.target] })
    const found = topics.flatMap(({ partitions }) => partitions).find(({ partition }) => partition === 0)
    return found === undefined || Number(found.offset) < 0 ? null : Number(found.offset)
  }
}

export const totalOf = (offsets: Offsets): number => [...offsets.values()].reduce((sum, end) => sum + end, 0)

async function logsOf(client: Client, replayId: string): Promise<ReplayedLog[]> {
  const { rows } = await client.query<{ partition: number; group_id: string; from: string; to: string }>(
    `select partition, 'replay-' || plan_id || '-' || log_id as group_id, from_offset as from, to_offset as to
      from replay_logs join replays using (plan_id) where replay_id = $1 order by partition`,
    [replayId],
  )
  return rows.map(({ partition, group_id, from, to }) => ({
    partition,
    groupId: group_id,
    from: Number(from),
    to: Number(to),
  }))
}

/** Resolves with the replay when it has ended, however. An API that does not answer is asked again. */
export function untilEnded(api: Api, replayId: string, waiting: Waiting): Promise<ReplayView> {
  return until(
    async () => {
      const view = await viewOf(api, replayId)
      return view !== null && hasEnded(view.status) ? view : null
    },
    { everyMs: 200, ...waiting },
  )
}

/** Null when the API does not answer, or not now. @throws when it refuses */
export async function viewOf(api: Api, replayId: string): Promise<ReplayView | null> {
  try {
    return await api.getReplay(replayId)
  } catch (error) {
    if (error instanceof ApiError && error.status < 500) throw error
    return null
  }
}

/** What does not hold of a replay that must have replayed the whole log, in words. */
export function receiptProblems(view: ReplayView, score: Score, log: LogJudgement): string[] {
  const { replayId, status, receipt, error } = view
  if (status !== 'completed')
    return [`${replayId} is ${status}${error === undefined ? '' : `: ${error.code}, ${error.detail}`}`]
  if (receipt === undefined) return [`${replayId} has no receipt`]
  const problems: string[] = []
  if (Number(receipt.events) !== score.accepted)
    problems.push(`the receipt of ${replayId} says ${receipt.events} events instead of ${score.accepted}`)
  if (receipt.logs.length !== score.partitions)
    problems.push(
      `the receipt of ${replayId} names ${receipt.logs.length} logs instead of ${score.partitions}`,
    )
  for (const { partition, events, rootHash } of receipt.logs) {
    const must = log.events.get(partition)
    if (must !== undefined && Number(events) === must.count && rootHash === hashToHex(must.root)) continue
    problems.push(`the receipt of ${replayId} has another root or count for partition ${partition}`)
  }
  return problems
}
