import type { SQL } from 'drizzle-orm'
import { and, desc, drizzle, eq, inArray, lt, sql } from '../../../drizzle/orm.ts'
import { verificationParts, verificationResults, verifications } from '../../../drizzle/schema.ts'
import type { VerifiedPart } from '../../domain/verification/view.ts'
import { ServiceError } from '../../errors.ts'
import type { VerificationRecord, VerificationStore } from '../../ports.ts'
import { isUuid } from '../checkpoints.ts'
import { decodeCursor, encodeCursor } from '../cursors.ts'
import type { Database } from '../database.ts'
import { guarded } from '../failure.ts'
import { onlyRow } from '../transaction.ts'

const MAX_PAGE = 1_000
/** Parts of one verification that are shown; the damaged ones come first. */
const MAX_PARTS = 100
const CURSOR_KIND = 'verifications'

type Db = ReturnType<typeof drizzle>

/** Append-only: what was planned, then each part, then the result; each once. */
export function createVerificationStore(database: Database): VerificationStore {
  const db = drizzle(database.readers)
  return {
    insertVerification: (verification) =>
      guarded('storing a verification', async () => {
        await db.insert(verifications).values(verification).onConflictDoNothing({ target: verifications.id })
        const [stored] = await find(db, eq(verifications.id, verification.id), 1)
        if (stored === undefined)
          throw new ServiceError('INTERNAL', 'The verification that was just stored is gone')
        return stored.record
      }),
    insertPart: (id, logId, part) =>
      guarded('storing what was verified', async () => {
        await db
          .insert(verificationParts)
          .values({ verificationId: id, logId, verdict: part.verdict, report: part })
          .onConflictDoNothing()
      }),
    insertResult: (id, verdict, error) =>
      guarded('storing the result of a verification', async () => {
        await db
          .insert(verificationResults)
          .values({
            verificationId: id,
            verdict,
            errorCode: error?.code ?? null,
            errorDetail: error?.detail.replaceAll('\u0000', '\ufffd') ?? null,
          })
          .onConflictDoNothing({ target: verificationResults.verificationId })
      }),
    getVerification: (id) =>
      guarded('looking for a verification', async () =>
        isUuid(id) ? ((await find(db, eq(verifications.id, id), 1))[0]?.record ?? null) : null,
      ),
    hasVerification: (id) =>
      guarded('looking for a verification', async () => {
        if (!isUuid(id)) return false
        const rows = await db
          .select({ id: verifications.id })
          .from(verifications)
          .where(eq(verifications.id, id))
        return rows.length === 1
      }),
    listVerifications: ({ cursor, limit, kind }) =>
      guarded('listing verifications', async () => {
        const conditions: SQL[] = []
        if (kind !== undefined) conditions.push(eq(verifications.kind, kind))
        const [before] = cursor === undefined ? [] : decodeCursor(CURSOR_KIND, cursor, 1)
        if (before !== undefined) conditions.push(lt(verifications.sequence, before))
        const count = Math.min(limit, MAX_PAGE)
        const rows = await find(db, and(...conditions), count + 1)
        const page = rows.slice(0, count)
        const last = page.at(-1)
        const more = rows.length > count && last !== undefined
        return {
          items: page.map(({ record }) => record),
          nextCursor: more ? encodeCursor(CURSOR_KIND, [last.sequence]) : null,
        }
      }),
    lastFinished: () =>
      guarded('looking for the last verification', async () => {
        const [row] = await db
          .select({ verdict: verificationResults.verdict, finishedAt: verificationResults.finishedAt })
          .from(verificationResults)
          .innerJoin(verifications, eq(verifications.id, verificationResults.verificationId))
          .where(
            and(
              eq(verifications.kind, 'log'),
              // One that found no log looked at nothing: its age, and not its verdict, is what alerts.
              sql`${verifications.parts} > 0`,
              inArray(verificationResults.verdict, ['intact', 'damaged']),
            ),
          )
          .orderBy(desc(verifications.sequence))
          .limit(1)
        if (row === undefined) return null
        const damagedLogs = await countDamagedLogs(db)
        return { damaged: row.verdict === 'damaged', finishedAt: row.finishedAt, damagedLogs }
      }),
  }
}

/** From log to log by the index, and of each its newest verdict: as many rows as there are logs, however often they were verified. */
async function countDamagedLogs(db: Db): Promise<number> {
  const { rows } = await db.execute<{ logs: number }>(sql`
    with recursive verified (log_id) as (
      (select log_id from verification_parts order by log_id limit 1)
      union all
      select (select p.log_id from verification_parts p where p.log_id > v.log_id order by p.log_id limit 1)
        from verified v where v.log_id is not null)
    select count(*)::integer as logs
      from verified l
     cross join lateral (
       select p.verdict from verification_parts p
        where p.log_id = l.log_id and (select kind from verifications where id = p.verification_id) = 'log'
        order by p.finished_at desc limit 1) newest
     where newest.verdict = 'damaged'`)
  return onlyRow(rows, 'the damaged logs').logs
}

interface Found {
  readonly sequence: bigint
  readonly record: VerificationRecord
}

async function find(db: Db, condition: SQL | undefined, limit: number): Promise<readonly Found[]> {
  const rows = await db
    .select()
    .from(verifications)
    .leftJoin(verificationResults, eq(verificationResults.verificationId, verifications.id))
    .where(condition)
    .orderBy(desc(verifications.sequence))
    .limit(limit)
  const found: Found[] = []
  for (const { verifications: row, verification_results: result } of rows) {
    const { damaged, done } = await countParts(db, row.id)
    found.push({
      sequence: row.sequence,
      record: {
        id: row.id,
        kind: row.kind === 'replay' ? 'replay' : 'log',
        workflowId: row.workflowId,
        request: row.request,
        parts: row.parts,
        total: row.total,
        createdAt: row.createdAt,
        createdBy: row.createdBy,
        partsDone: done,
        damaged,
        verified: limit === 1 ? await partsOf(db, row.id) : [],
        result:
          result === null
            ? null
            : {
                verdict: verdictOf(result.verdict),
                finishedAt: result.finishedAt,
                error:
                  result.errorCode === null
                    ? null
                    : { code: result.errorCode, detail: result.errorDetail ?? '' },
              },
      },
    })
  }
  return found
}

function verdictOf(text: string): 'intact' | 'damaged' | 'cancelled' | 'failed' {
  if (text === 'intact' || text === 'damaged' || text === 'cancelled') return text
  return 'failed'
}

async function countParts(db: Db, id: string): Promise<{ readonly done: number; readonly damaged: number }> {
  const [row] = await db
    .select({
      done: sql<string>`count(*)`,
      damaged: sql<string>`count(*) filter (where ${verificationParts.verdict} = 'damaged')`,
    })
    .from(verificationParts)
    .where(eq(verificationParts.verificationId, id))
  return { done: Number(row?.done ?? 0), damaged: Number(row?.damaged ?? 0) }
}

async function partsOf(db: Db, id: string): Promise<readonly VerifiedPart[]> {
  const rows = await db
    .select({ report: verificationParts.report })
    .from(verificationParts)
    .where(eq(verificationParts.verificationId, id))
    .orderBy(verificationParts.verdict, verificationParts.logId)
    .limit(MAX_PARTS)
  // Only `insertPart` writes them.
  return rows.map(({ report }) => report as VerifiedPart)
}
