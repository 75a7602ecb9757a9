import type { NodePgDatabase } from 'drizzle-orm/node-postgres'
import { drizzle, sql } from '../../drizzle/orm.ts'
import { signingKeys } from '../../drizzle/schema.ts'
import { arePeriodsEqual, isSamePeriod, type KeyPeriod } from '../domain/evidence/keyPeriods.ts'
import { verifierKey } from '../domain/evidence/noteKeys.ts'
import { SigningKeysChanged } from '../errors.ts'
import type { KeyState, SigningKeyStore } from '../ports.ts'
import type { Database } from './database.ts'
import { guarded } from './failure.ts'
import { inTransaction, onlyRow, type Transaction } from './transaction.ts'

const TRANSACTION_TIMEOUT_MS = 30_000
/** By which the database's clock may go back. */
const CLOCK_LEAP_HOURS = 1
/** Beside the lock of create_events_partition. */
const LOCK = sql.raw('1937010286, 2')

interface KeyRow extends Record<string, unknown> {
  readonly now_ms: string
  /** Null, with all that follows, when there is no key. */
  readonly name: string | null
  readonly public_key: Buffer
  readonly from_ms: string
  readonly until_ms: string | null
}

/** Of each key its newest row counts; the others show what was believed before. */
const currentKeys = sql`
  select (extract(epoch from clock_timestamp()) * 1000)::bigint as now_ms, name, public_key,
         (extract(epoch from signs_from) * 1000)::bigint as from_ms,
         (extract(epoch from signs_until) * 1000)::bigint as until_ms
    from (select) one
    left join (select distinct on (name, key_id) * from public.signing_keys
                order by name, key_id, sequence desc) k on true
   order by signs_from`

export function createSigningKeyStore(database: Database): SigningKeyStore {
  const db = drizzle(database.readers)
  return {
    keyState: () => guarded('reading the signing keys', () => readState(db)),
    changeKeys: (decide) =>
      guarded('recording signing keys', () =>
        inTransaction(database.readers, TRANSACTION_TIMEOUT_MS, async (tx) => {
          await tx.execute(sql`select pg_advisory_xact_lock(${LOCK})`)
          const lastSignedMs = await readLastSigned(tx)
          // Behind it, so that its time is not before.
          const state = await readState(tx)
          const decided = decide({ ...state, ...(lastSignedMs !== null && { lastSignedMs }) })
          await insertChanges(tx, state.periods, decided.periods)
          return decided
        }),
      ),
  }
}

/**
 * For whoever stores a checkpoint, in his transaction: until its end no key begins or ends. Throws SigningKeysChanged when one
 * has since the periods were read.
 */
export async function holdKeys(tx: Transaction, periods: readonly KeyPeriod[]): Promise<void> {
  await tx.execute(sql`select pg_advisory_xact_lock_shared(${LOCK})`)
  const state = await readState(tx)
  if (!arePeriodsEqual(state.periods, periods)) throw new SigningKeysChanged()
}

/** Rows that nobody here wrote may have any time: none of a far future keeps a new key from beginning. */
async function readLastSigned(tx: Transaction): Promise<number | null> {
  const { rows } = await tx.execute<{ signed_ms: string | null }>(sql`
    select ceil(extract(epoch from max(c.created_at)) * 1000)::bigint as signed_ms
      from public.checkpoints c
     where isfinite(c.created_at) and c.created_at <= clock_timestamp() + make_interval(hours => ${CLOCK_LEAP_HOURS})
       and exists (select from public.checkpoint_positions p where p.checkpoint_id = c.id and p.note is not null)`)
  const signed = onlyRow(rows, 'the last signature').signed_ms
  return signed === null ? null : Number(signed)
}

async function readState(db: NodePgDatabase | Transaction): Promise<KeyState> {
  const { rows } = await db.execute<KeyRow>(currentKeys)
  return {
    periods: rows.flatMap(({ name, public_key, from_ms, until_ms }) => {
      if (name === null) return []
      const untilMs = until_ms === null ? null : Number(until_ms)
      return [{ key: verifierKey(name, public_key), fromMs: Number(from_ms), untilMs }]
    }),
    nowMs: Number(onlyRow(rows, 'the clock').now_ms),
  }
}

async function insertChanges(
  tx: Transaction,
  before: readonly KeyPeriod[],
  after: readonly KeyPeriod[],
): Promise<void> {
  const changed = after.filter((period) => !before.some((known) => isSamePeriod(known, period)))
  if (changed.length === 0) return
  await tx.insert(signingKeys).values(
    changed.map(({ key, fromMs, untilMs }) => ({
      name: key.name,
      keyId: key.keyId,
      publicKey: key.publicKey,
      signsFrom: new Date(fromMs),
      signsUntil: untilMs === null ? null : new Date(untilMs),
    })),
  )
}
