import type { SQL } from 'drizzle-orm'
import { and, desc, drizzle, eq, inArray, lt, lte, notInArray, or, sql } from '../../drizzle/orm.ts'
import { replayLogs, replays } from '../../drizzle/schema.ts'
import { hashToBytes } from '../domain/hash.ts'
import type { ReplayPlan } from '../domain/replay.ts'
import { ServiceError } from '../errors.ts'
import type { ReplayRecord, ReplayStore } from '../ports.ts'
import { isUuid } from './checkpoints.ts'
import { decodeCursor, encodeCursor } from './cursors.ts'
import type { Database } from './database.ts'
import { guarded } from './failure.ts'
import { receiptToJson, replayRecord } from './replayRows.ts'
import { inTransaction, type Transaction } from './transaction.ts'

const TRANSACTION_TIMEOUT_MS = 30_000
const MAX_PAGE = 1_000
const CURSOR_KIND = 'replays'
/** A replay that has ended stays ended, whatever a late activity reports; only `reopen` says otherwise. */
const ended = ['completed', 'failed', 'cancelled']

const now = sql`clock_timestamp()`

export function createReplayStore(database: Database): ReplayStore {
  const db = drizzle(database.readers)

  const find = async (condition: SQL | undefined, limit: number) => {
    const rows = await db.select().from(replays).where(condition).orderBy(desc(replays.sequence)).limit(limit)
    const planIds = rows.map((row) => row.planId)
    const logs =
      planIds.length === 0
        ? []
        : await db
            .select()
            .from(replayLogs)
            .where(inArray(replayLogs.planId, planIds))
            .orderBy(replayLogs.partition)
    return rows.map((row) => ({
      sequence: row.sequence,
      record: replayRecord(
        row,
        logs.filter((log) => log.planId === row.planId),
      ),
    }))
  }
  const findOne = async (condition: SQL): Promise<ReplayRecord | null> =>
    (await find(condition, 1))[0]?.record ?? null

  return {
    insertPlan: (plan, createdBy) =>
      guarded('storing the plan of a replay', async () => {
        await inTransaction(database.readers, TRANSACTION_TIMEOUT_MS, (tx) => insert(tx, plan, createdBy))
        const stored = await findOne(eq(replays.replayId, plan.replayId))
        if (stored === null) throw new ServiceError('INTERNAL', 'The plan that was just stored is gone')
        return stored
      }),
    getReplay: (replayId) =>
      guarded('looking for a replay', async () =>
        replayId.includes('\u0000') ? null : findOne(eq(replays.replayId, replayId)),
      ),
    getPlan: (planId) =>
      guarded('looking for a plan', async () =>
        isUuid(planId) ? findOne(eq(replays.planId, planId)) : null,
      ),
    listReplays: ({ cursor, limit, status }) =>
      guarded('listing replays', async () => {
        const conditions: SQL[] = []
        if (status !== undefined) conditions.push(eq(replays.status, status))
        const [before] = cursor === undefined ? [] : decodeCursor(CURSOR_KIND, cursor, 1)
        if (before !== undefined) conditions.push(lt(replays.sequence, before))
        const count = Math.min(limit, MAX_PAGE)
        const rows = await find(and(...conditions), count + 1)
        const page = rows.slice(0, count)
        const last = page.at(-1)
        return {
          items: page.map((row) => row.record),
          nextCursor:
            rows.length > count && last !== undefined ? encodeCursor(CURSOR_KIND, [last.sequence]) : null,
        }
      }),
    markStarted: (planId, id) =>
      guarded('marking a replay as started', async () => {
        const changed = await db
          .update(replayLogs)
          .set({ started: true, updatedAt: now })
          .where(and(eq(replayLogs.planId, planId), eq(replayLogs.logId, id), eq(replayLogs.started, false)))
          .returning({ logId: replayLogs.logId })
        return changed.length === 1
      }),
    mirrorProgress: (planId, id, cursor, events, rootHash) =>
      guarded('mirroring the progress of a replay', async () => {
        await db
          .update(replayLogs)
          .set({
            cursor,
            events,
            rootHash: rootHash === null ? null : hashToBytes(rootHash),
            updatedAt: now,
          })
          // A late report of an older owner must not move the mirror back.
          .where(and(eq(replayLogs.planId, planId), eq(replayLogs.logId, id), lte(replayLogs.cursor, cursor)))
      }),
    reopen: (planId, code) =>
      guarded('reopening a replay', async () => {
        await db
          .update(replays)
          .set({ status: 'running', errorCode: null, errorDetail: null, updatedAt: now })
          .where(and(eq(replays.planId, planId), eq(replays.status, 'failed'), eq(replays.errorCode, code)))
      }),
    setStatus: (planId, status, end) =>
      guarded('setting the status of a replay', async () => {
        await db
          .update(replays)
          .set({
            status,
            updatedAt: now,
            ...(end?.receipt === undefined ? {} : { receipt: receiptToJson(end.receipt) }),
            ...(end?.error === undefined
              ? {}
              : { errorCode: end.error.code, errorDetail: end.error.detail.replaceAll('\u0000', '\ufffd') }),
          })
          .where(
            and(
              eq(replays.planId, planId),
              or(notInArray(replays.status, ended), eq(replays.status, status)),
            ),
          )
      }),
  }
}

/** The same replay id again changes nothing. */
async function insert(tx: Transaction, plan: ReplayPlan, createdBy: string): Promise<void> {
  const inserted = await tx
    .insert(replays)
    .values({
      planId: plan.planId,
      replayId: plan.replayId,
      planHash: plan.planHash,
      request: plan.request,
      topic: plan.topic,
      targetTopic: plan.targetTopic,
      targetTopicId: plan.targetTopicId,
      filters: plan.filters,
      checkpointId: plan.checkpointId,
      createdBy,
      status: 'planning',
    })
    .onConflictDoNothing({ target: replays.replayId })
    .returning({ planId: replays.planId })
  if (inserted.length === 0 || plan.logs.length === 0) return
  await tx.insert(replayLogs).values(
    plan.logs.map((log) => ({
      planId: plan.planId,
      logId: log.logId,
      partition: log.partition,
      fromOffset: log.from,
      toOffset: log.to,
      planned: log.planned,
      targetPartition: log.targetPartition,
      cursor: log.from,
    })),
  )
}
