import { sql } from '../../drizzle/orm.ts'
import { hashToBytes } from '../domain/hash.ts'
import { encodeFrontier } from '../domain/merkle.ts'
import { type LogId, logId } from '../domain/model.ts'
import type { AppendRequest } from '../ports.ts'
import type { LockedLog } from './lockLog.ts'
import { type EncodedAppend, endOffsetOf } from './prepared.ts'
import { onlyRow, type Transaction } from './transaction.ts'

const timestamp = (ms: number) => sql`${new Date(ms).toISOString()}::timestamptz`

/** Gaps of the request; rare, so one statement each. */
export async function insertGaps(tx: Transaction, request: AppendRequest, ingestedMs: number): Promise<void> {
  for (const [index, entry] of request.entries.entries()) {
    if (entry.kind !== 'gap') continue
    await tx.execute(sql`
      insert into public.gaps (log_id, from_offset, to_offset, leaf_index, leaf_hash, ingested_at)
      values (${request.logId}, ${entry.from}, ${entry.to}, ${request.expected.size + BigInt(index)},
              ${hashToBytes(entry.leaf)}, ${timestamp(ingestedMs)})`)
  }
}

/**
 * Stores the nodes and moves the log, in one round trip. Null when it moved; else the newer incarnation that stands in
 * the way. A statement of its own, after the lock: it sees what was committed while the lock was waited for, and
 * nobody opens an incarnation without that lock.
 */
export async function moveLog(
  tx: Transaction,
  prepared: EncodedAppend,
  log: LockedLog,
  ingestedMs: number,
): Promise<LogId | null> {
  const { request, bytesAfter } = prepared
  const { nodes, entries, expected, next } = request
  const before = BigInt(log.bytes)
  const last = nodes.map((node) => Number(((node.index + 1n) << BigInt(node.level)) - 1n - expected.size))
  const ends = last.map((index) => {
    const entry = entries[index]
    if (entry === undefined) throw new RangeError('a node ends outside the batch')
    return endOffsetOf(entry)
  })
  const bytes = last.map((index) => before + BigInt(bytesAfter[index] ?? 0))
  const total = before + BigInt(bytesAfter.at(-1) ?? 0)
  const time = timestamp(ingestedMs)
  // An empty batch ingested nothing: its time would bound no row.
  const lastIngested = entries.length === 0 ? sql`last_ingested_at` : time
  const { rows } = await tx.execute<{ moved: boolean; newest_id: number }>(sql`
    with newest as (
      select n.id from public.partition_logs n
       where n.topic = ${log.topic} and n.partition = ${log.partition} order by n.incarnation desc limit 1
    ), stored as (
      insert into public.log_nodes (log_id, level, index, hash, end_offset, bytes, ingested_at)
      select ${request.logId}::int, level, index, hash, end_offset, bytes, ${time}
        from unnest(${sql.param(nodes.map((node) => node.level))}::smallint[],
                    ${sql.param(nodes.map((node) => node.index))}::bigint[],
                    ${sql.param(nodes.map((node) => hashToBytes(node.hash)))}::bytea[],
                    ${sql.param(ends)}::bigint[],
                    ${sql.param(bytes)}::bigint[]) as node (level, index, hash, end_offset, bytes)
    ), moved as (
    update public.partition_logs
       set next_offset = ${next.nextOffset}, size = ${next.size}, bytes = ${total},
           frontier = ${encodeFrontier(next.frontier)}, last_ingested_at = ${lastIngested},
           leader_epoch = greatest(leader_epoch, ${request.leaderEpoch})
     where id = ${request.logId} and id = (select id from newest)
    returning id
    )
    select newest.id as newest_id, exists (select from moved) as moved from newest`)
  const { moved, newest_id } = onlyRow(rows, `log ${request.logId}`)
  return moved ? null : logId(newest_id)
}
