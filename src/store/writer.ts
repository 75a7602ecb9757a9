import { drizzle, sql } from '../../drizzle/orm.ts'
import { ServiceError } from '../errors.ts'
import type { AppendOutcome, EventLogWriter, LogState, PreparedAppend } from '../ports.ts'
import { type AppendSettings, appendInTransaction, MissingPartition } from './append.ts'
import { ChunkPool } from './chunks.ts'
import type { Database } from './database.ts'
import { guarded, storeError } from './failure.ts'
import { incarnationInTransaction } from './incarnation.ts'
import type { TerminatedBlocker } from './lockLog.ts'
import { type LogRow, logColumns, logState } from './logRows.ts'
import { EncodedAppend, encodeAppend } from './prepared.ts'
import { inTransaction, onlyRow } from './transaction.ts'

export interface WriterOptions {
  /** An id counts as taken by an event at most this many offsets back. */
  readonly dedupWindowOffsets?: bigint
  /** How long to wait for a log's lock before whoever holds it is terminated. */
  readonly lockPatienceMs?: number
  /** An append that takes longer loses its connection: unknown outcome. */
  readonly appendTimeoutMs?: number
  /** This process's clock, ms since 1970; compared with PostgreSQL's. */
  readonly now?: () => number
  readonly onBlockerTerminated?: (blocker: TerminatedBlocker) => void
}

export function createEventLogWriter(database: Database, options: WriterOptions = {}): EventLogWriter {
  const chunks = new ChunkPool()
  const appendTimeoutMs = options.appendTimeoutMs ?? 60_000
  const settings: AppendSettings = {
    chunks,
    readers: database.readers,
    dedupWindow: options.dedupWindowOffsets ?? 10_000_000n,
    patienceMs: options.lockPatienceMs ?? 3_000,
    now: options.now ?? Date.now,
    onTerminated: options.onBlockerTerminated ?? (() => undefined),
  }
  const db = drizzle(database.readers)

  const findLog = async (topic: string, partition: number): Promise<LogState | null> => {
    const { rows } = await db.execute<LogRow>(sql`
      select ${logColumns} from public.partition_logs l
       where l.topic = ${topic} and l.partition = ${partition} order by l.incarnation desc limit 1`)
    return rows[0] === undefined ? null : logState(rows[0])
  }

  const ensurePartitions = async (): Promise<void> => {
    await db.execute(sql`
      select public.ensure_partition((clock_timestamp() at time zone 'UTC')::date + days) from generate_series(0, 1) days`)
  }

  const tryAppend = (
    prepared: EncodedAppend,
    currentTopicId: () => Promise<string>,
  ): Promise<AppendOutcome> =>
    inTransaction(database.appenders, appendTimeoutMs, (tx, client) =>
      appendInTransaction(tx, client, prepared, currentTopicId, settings),
    )

  const append = async (
    prepared: PreparedAppend,
    currentTopicId: () => Promise<string>,
  ): Promise<AppendOutcome> => {
    if (!(prepared instanceof EncodedAppend))
      throw new ServiceError('INTERNAL', 'The append was not prepared by this store')
    try {
      const outcome = await tryAppend(prepared, currentTopicId).catch(async (error: unknown) => {
        if (!(error instanceof MissingPartition)) throw error
        await ensurePartitions()
        return tryAppend(prepared, currentTopicId)
      })
      if (outcome.kind === 'appended') {
        // The server has taken every byte, so no socket holds them.
        chunks.give(prepared.events.chunks)
        chunks.give(prepared.deadLetters.chunks)
      }
      return outcome
    } catch (error) {
      throw storeError(error, 'appending to a log')
    }
  }

  return {
    findLog: (topic, partition) => guarded('looking for a log', () => findLog(topic, partition)),
    openLog: (identity, startOffset, leaderEpoch) =>
      guarded('opening a log', async () => {
        await db.execute(sql`
          insert into public.partition_logs (topic, partition, topic_id, leader_epoch, start_offset)
          select ${identity.topic}::text, ${identity.partition}::int, ${identity.topicId}::uuid,
                 ${leaderEpoch}::int, ${startOffset}::bigint
           where not exists (select from public.partition_logs
                              where topic = ${identity.topic} and partition = ${identity.partition})
              on conflict do nothing`)
        const log = await findLog(identity.topic, identity.partition)
        return onlyRow(log === null ? [] : [log], 'the log that was just opened')
      }),
    openIncarnation: (closed, next, currentTopicId) =>
      guarded('opening a new incarnation', () =>
        inTransaction(database.appenders, appendTimeoutMs, (tx, client) =>
          incarnationInTransaction(tx, client, closed, next, currentTopicId, settings),
        ),
      ),
    prepare: (request) => encodeAppend(request, chunks),
    append,
    ensurePartitions: () => guarded('making partitions of events', ensurePartitions),
  }
}
