import { sql } from '../../drizzle/orm.ts'
import { decodeFrontier } from '../domain/merkle.ts'
import { leafIndex, logId, offset } from '../domain/model.ts'
import type { LogState } from '../ports.ts'

/** A row of partition_logs as text and bytes, straight from the driver. */
export interface LogRow extends Record<string, unknown> {
  readonly id: number
  readonly topic: string
  readonly partition: number
  readonly topic_id: string
  readonly incarnation: number
  readonly leader_epoch: number
  readonly start_offset: string
  readonly next_offset: string
  readonly size: string
  readonly bytes: string
  readonly frontier: Buffer
  /** ms since 1970; null before the first append. */
  readonly last_ingested_ms: string | null
  readonly created_ms: string
}

/** Ingestion times are whole milliseconds: nothing is lost on the way to a Date. */
export const logColumns = sql.raw(`l.id, l.topic, l.partition, l.topic_id, l.incarnation, l.leader_epoch,
  l.start_offset, l.next_offset, l.size, l.bytes, l.frontier,
  (extract(epoch from l.last_ingested_at) * 1000)::bigint as last_ingested_ms,
  (extract(epoch from l.created_at) * 1000)::bigint as created_ms`)

export function logState(row: LogRow): LogState {
  return {
    logId: logId(row.id),
    identity: { topic: row.topic, partition: row.partition, topicId: row.topic_id },
    incarnation: row.incarnation,
    startOffset: offset(BigInt(row.start_offset)),
    position: positionOf(row),
    leaderEpoch: row.leader_epoch,
    lastIngestedAt: row.last_ingested_ms === null ? null : new Date(Number(row.last_ingested_ms)),
  }
}

export const positionOf = (row: LogRow): LogState['position'] => ({
  nextOffset: offset(BigInt(row.next_offset)),
  size: leafIndex(BigInt(row.size)),
  frontier: decodeFrontier(row.frontier),
})

/** Ingestion times of the log lie between these. */
export const earliestMs = (row: LogRow): number => Number(row.created_ms)
export const latestMs = (row: LogRow): number => Number(row.last_ingested_ms ?? row.created_ms)
