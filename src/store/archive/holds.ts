import { drizzle, sql } from '../../../drizzle/orm.ts'
import { legalHolds } from '../../../drizzle/schema.ts'
import type { HoldScope, HoldView } from '../../domain/archive/hold.ts'
import { ServiceError } from '../../errors.ts'
import type { HoldStore } from '../../ports.ts'
import type { Database } from '../database.ts'
import { guarded } from '../failure.ts'
import { inTransaction, onlyRow } from '../transaction.ts'

const TRANSACTION_TIMEOUT_MS = 30_000
/** A day that is being detached locks the holds for its last moment only; who waits longer may ask again. */
const LOCK_TIMEOUT = sql.raw("'3s'")
/** Beside the other locks of the store. */
const LOCK = sql.raw('1937010286, 5')
/** Far more subjects than anybody holds. */
const MAX_SUBJECTS = 10_000

interface HoldRow extends Record<string, unknown> {
  readonly scope: string
  readonly subject: string
  readonly held: boolean
  readonly reason: string
  readonly created_at: Date
  readonly created_by: string
}

/** Of each subject the newest row counts; the others show what was said before. */
export function createHoldStore(database: Database): HoldStore {
  const db = drizzle(database.readers)
  return {
    putHold: ({ scope, subject, reason }, held, createdBy) =>
      guarded('recording a legal hold', () =>
        inTransaction(database.readers, TRANSACTION_TIMEOUT_MS, async (tx) => {
          await tx.execute(sql`set local lock_timeout = ${LOCK_TIMEOUT}`)
          await tx.execute(sql`select pg_advisory_xact_lock(${LOCK})`)
          const { rows } = await tx.execute<{ held: boolean }>(sql`
            select held from public.legal_holds where scope = ${scope} and subject = ${subject}
             order by sequence desc limit 1`)
          if ((rows[0]?.held ?? false) === held) {
            const state = held ? 'is held already' : 'is not held'
            throw new ServiceError('HOLD_UNCHANGED', `The ${scope} ${subject} ${state}`)
          }
          const [row] = await tx
            .insert(legalHolds)
            .values({ scope, subject, held, reason, createdBy })
            .returning()
          const { createdAt } = onlyRow(row === undefined ? [] : [row], 'the legal hold')
          return { scope, subject, held, reason, since: createdAt.toISOString(), by: createdBy }
        }),
      ),
    listHolds: () =>
      guarded('listing legal holds', async () => {
        const { rows } = await db.execute<HoldRow>(sql`
          select * from (select distinct on (scope, subject) scope, subject, held, reason, created_at, created_by
                           from public.legal_holds order by scope, subject, sequence desc) newest
           order by not held, scope, subject limit ${MAX_SUBJECTS}`)
        return rows.map(toView)
      }),
  }
}

const toView = ({ scope, subject, held, reason, created_at, created_by }: HoldRow): HoldView => ({
  scope: scope as HoldScope,
  subject,
  held,
  reason,
  since: new Date(created_at).toISOString(),
  by: created_by,
})
