import type { Client } from 'pg'
import { hashToHex } from '../../src/domain/hash.ts'
import { hasEnded, type ReplayView } from '../../src/domain/replayView.ts'
import { type Api, ApiError } from '../run/api.ts'
import { isStillBeingMade } from '../run/topics.ts'
import { type World, withClient } from '../run/world.ts'
import type { Score } from './contract.ts'
import type { LogJudgement } from './judgeLog.ts'
import { until, type Waiting } from './waiting.ts'

/** End offsets of a target by partition: records, and one marker per transaction. */
export type Ends = ReadonlyMap<number, number>

/** Where one replay is, asked of Kafka and of the database, beside the roles that do it. */
export class ReplayWatch {
  readonly replayId: string
  readonly target: string
  readonly #world: World
  readonly #ownerUrl: string
  #exists = false

  constructor(world: World, ownerUrl: string, { replayId, targetTopic }: ReplayView) {
    this.#world = world
    this.#ownerUrl = ownerUrl
    this.replayId = replayId
    this.target = targetTopic
  }

  /** Empty while the target is being made. */
  async ends(): Promise<Ends> {
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
  unfinished(): Promise<ReadonlySet<number>> {
    return withClient(this.#ownerUrl, async (client) => new Set(await unfinishedOf(client, this.replayId)))
  }

  /** Resolves with the ends when the target holds more than so many offsets. */
  untilBeyond(offsets: number, waiting: Waiting): Promise<Ends> {
    return until(async () => {
      const ends = await this.ends()
      return totalOf(ends) > offsets ? ends : null
    }, waiting)
  }

  /**
   * Resolves when every partition that had something left has got records again since `before`, or has come to its
   * end. Ending a dead worker's transaction writes a marker, which is no record.
   */
  async untilAllMove(before: Ends, waiting: Waiting): Promise<void> {
    let standing: readonly number[] = []
    await until(
      async () => {
        const [now, unfinished] = [await this.ends(), await this.unfinished()]
        standing = [...unfinished].filter(
          (partition) => (now.get(partition) ?? 0) <= (before.get(partition) ?? 0) + markers,
        )
        return standing.length === 0 ? true : null
      },
      {
        ...waiting,
        explain: () => `partitions ${standing.join()} stand still\n${waiting.explain?.() ?? ''}`,
      },
    )
  }
}

/** Of the transaction that the kill broke off, and of the one in which the new worker begins. */
const markers = 2

export const totalOf = (ends: Ends): number => [...ends.values()].reduce((sum, end) => sum + end, 0)

async function unfinishedOf(client: Client, replayId: string): Promise<number[]> {
  const { rows } = await client.query<{ partition: number }>(
    `select partition from replay_logs join replays using (plan_id)
      where replay_id = $1 and cursor < to_offset order by partition`,
    [replayId],
  )
  return rows.map(({ partition }) => partition)
}

/** Resolves with the replay when it has ended, however. An API that does not answer is asked again. */
export function untilEnded(api: Api, replayId: string, waiting: Waiting): Promise<ReplayView> {
  return until(
    async () => {
      const view = await api.getReplay(replayId).catch(rethrowRefusals)
      return view !== null && hasEnded(view.status) ? view : null
    },
    { everyMs: 200, ...waiting },
  )
}

function rethrowRefusals(error: unknown): null {
  if (error instanceof ApiError && error.status < 500) throw error
  return null
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
