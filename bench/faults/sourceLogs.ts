import type { OffsetRange } from '../judge/logAudit.ts'
import { withClient } from '../run/world.ts'
import { until, type Waiting } from './waiting.ts'

/** A log as its row says it. */
export interface LogRowNow {
  readonly id: number
  readonly partition: number
  readonly incarnation: number
  readonly topicId: string
  readonly nextOffset: number
  readonly size: number
}

/** The logs of one source topic, asked by the database's owner, directly. */
export class SourceLogs {
  readonly #ownerUrl: string
  readonly #topic: string

  constructor(ownerUrl: string, topic: string) {
    this.#ownerUrl = ownerUrl
    this.#topic = topic
  }

  /** All incarnations, by partition and incarnation. */
  all(): Promise<LogRowNow[]> {
    return withClient(this.#ownerUrl, async (client) => {
      const { rows } = await client.query<Record<string, string>>(
        `select id, partition, incarnation, topic_id, next_offset, size from partition_logs where topic = $1
          order by partition, incarnation`,
        [this.#topic],
      )
      return rows.map((row) => ({
        id: Number(row['id']),
        partition: Number(row['partition']),
        incarnation: Number(row['incarnation']),
        topicId: String(row['topic_id']),
        nextOffset: Number(row['next_offset']),
        size: Number(row['size']),
      }))
    })
  }

  /** The newest incarnation of each partition. */
  async newest(): Promise<ReadonlyMap<number, LogRowNow>> {
    return new Map((await this.all()).map((log) => [log.partition, log]))
  }

  /** By partition: where its newest log goes on; 0 where there is none. */
  async nextOffsets(partitions: number): Promise<number[]> {
    const newest = await this.newest()
    return Array.from({ length: partitions }, (_, partition) => newest.get(partition)?.nextOffset ?? 0)
  }

  /** Of the newest incarnations, by partition, in order. */
  gaps(partitions: number): Promise<OffsetRange[][]> {
    return withClient(this.#ownerUrl, async (client) => {
      const { rows } = await client.query<{ partition: number; from_offset: string; to_offset: string }>(
        `select l.partition, g.from_offset, g.to_offset from gaps g join partition_logs l on l.id = g.log_id
          where l.topic = $1 and not exists (select from partition_logs n
            where n.topic = l.topic and n.partition = l.partition and n.incarnation > l.incarnation)
          order by l.partition, g.from_offset`,
        [this.#topic],
      )
      return Array.from({ length: partitions }, (_, partition) =>
        rows
          .filter((row) => row.partition === partition)
          .map((row) => ({ from: Number(row.from_offset), to: Number(row.to_offset) })),
      )
    })
  }

  /** Resolves when every newest log goes on at exactly this offset; one that is beyond never does. */
  async untilAt(ends: readonly number[], waiting: Waiting): Promise<void> {
    let standing: readonly number[] = []
    await until(
      async () => {
        standing = await this.nextOffsets(ends.length)
        return standing.every((next, partition) => next === ends[partition]) ? true : null
      },
      {
        ...waiting,
        explain: () => `the logs are at ${standing.join()} of ${ends.join()}\n${waiting.explain?.() ?? ''}`,
      },
    )
  }
}
