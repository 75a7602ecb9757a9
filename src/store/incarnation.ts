import type { PoolClient } from 'pg'
import { sql } from '../../drizzle/orm.ts'
import type { IncarnationOutcome, LogState } from '../ports.ts'
import { type LockPatience, lockLog } from './lockLog.ts'
import { type LogRow, logColumns, logState } from './logRows.ts'
import { Abandoned, onlyRow, type Transaction } from './transaction.ts'

/** Taken by a log that has had no batch yet. */
const NO_LEADER_EPOCH = -1

/**
 * The body of the transaction that opens the log after `closed`. It holds the lock of `closed`, which every append needs:
 * one that was in flight has ended, and one that comes later finds the new row. Returns an outcome to commit, or throws
 * Abandoned with one.
 */
export async function incarnationInTransaction(
  tx: Transaction,
  client: PoolClient,
  closed: LogState,
  next: { readonly topicId: string; readonly startOffset: bigint },
  currentTopicId: () => Promise<string>,
  patience: LockPatience,
): Promise<IncarnationOutcome> {
  const { logId, position } = closed
  await lockLog(tx, client, { id: logId, windowStart: position.nextOffset }, patience)
  // A statement of its own: it sees the incarnation that somebody else opened while the lock was waited for.
  const inserted = await tx.execute<{ id: number }>(sql`
    insert into public.partition_logs (topic, partition, topic_id, leader_epoch, start_offset)
    select l.topic, l.partition, ${next.topicId}::uuid, ${NO_LEADER_EPOCH}::int, ${next.startOffset}::bigint
      from public.partition_logs l
     where l.id = ${logId} and l.next_offset = ${position.nextOffset} and l.size = ${position.size}
       and not exists (select from public.partition_logs n
                        where n.topic = l.topic and n.partition = l.partition and n.incarnation > l.incarnation)
    returning id`)
  const id = inserted.rows[0]?.id
  if (id === undefined) return { kind: 'moved' }
  const topicId = await currentTopicId()
  if (topicId !== next.topicId) throw new Abandoned<IncarnationOutcome>({ kind: 'recreated', topicId })
  const { rows } = await tx.execute<LogRow>(
    sql`select ${logColumns} from public.partition_logs l where l.id = ${id}`,
  )
  return { kind: 'opened', log: logState(onlyRow(rows, 'the incarnation that was just opened')) }
}
