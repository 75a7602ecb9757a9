import type { NodePgDatabase } from 'drizzle-orm/node-postgres'
import { drizzle, sql } from '../../drizzle/orm.ts'
import { producerKeys, signaturePolicies } from '../../drizzle/schema.ts'
import { KEY_BYTES } from '../domain/evidence/ed25519.ts'
import { isKeyName, type VerifierKey, verifierKey } from '../domain/evidence/noteKeys.ts'
import type { ProducerKeyRequest, SignaturePolicyRequest } from '../domain/producerRequests.ts'
import {
  MAX_SOURCE_KEYS,
  type ProducerKey,
  signaturePolicies as policies,
  type SignaturePolicy,
  type SourceSignatures,
} from '../domain/producerSignature.ts'
import { isPresentableInstant } from '../domain/requestFields.ts'
import { ServiceError } from '../errors.ts'
import type { ProducerSource, ProducerStore } from '../ports.ts'
import type { Database } from './database.ts'
import { guarded } from './failure.ts'
import { inTransaction, onlyRow, type Transaction } from './transaction.ts'

const TRANSACTION_TIMEOUT_MS = 30_000
/** Beside the locks of create_events_partition and of the signing keys. */
const LOCK = sql.raw('1937010286, 3')
/** Every ingest process holds them all, and asks for them every few seconds. */
const MAX_SOURCES = 10_000
/** Keys of one source that are read at once. */
const MAX_KEYS_READ = 1_000
/** Ended keys stay in decoders' hands that long, since their clocks may lag behind the database's (store/append.ts: an hour). */
const KEPT_ENDED = sql.raw("interval '1 hour'")

type Executor = NodePgDatabase | Transaction

interface KeyRow extends Record<string, unknown> {
  readonly sequence: string
  readonly name: string
  readonly key_id: string
  readonly public_key: Buffer
  /** ms since 1970; infinite where the row is. */
  readonly from_ms: number
  readonly until_ms: number | null
  readonly valid: boolean
  readonly ended: boolean
}

interface SourceRow extends Record<string, unknown>, Partial<Nullable<KeyRow>> {
  readonly source: string
  readonly policy: string | null
}

type Nullable<Row> = { readonly [Member in keyof Row]: Row[Member] | null }

const keyColumns = sql`
  k.sequence, k.name, k.key_id, k.public_key,
  floor(extract(epoch from k.valid_from) * 1000)::float8 as from_ms,
  floor(extract(epoch from k.valid_until) * 1000)::float8 as until_ms,
  k.valid_from <= now() and (k.valid_until is null or k.valid_until > now()) as valid,
  coalesce(k.valid_until <= now(), false) as ended`

/**
 * Each key of the source with its newest validity, where that meets `condition`. Whatever a source had in its time: those
 * that are valid come before the limit, then those still to come, then the newest.
 */
const keysText = (source: ReturnType<typeof sql>, condition: ReturnType<typeof sql>) => sql`
  select ${keyColumns}
    from (select distinct on (name, key_id) * from public.producer_keys
           where source = ${source} order by name, key_id, sequence desc) k
   where ${condition}
   order by valid desc, ended, k.sequence desc limit ${MAX_KEYS_READ}`

/** Of each source the newest policy, beside its keys; `condition` is about `source`, `ofKeys` about `k`. */
const sourcesText = (condition: ReturnType<typeof sql>, limit: number, ofKeys: ReturnType<typeof sql>) => sql`
  with s as (select source from (select source from public.signature_policies
                                 union select source from public.producer_keys) s
              where ${condition} order by source limit ${limit})
  select s.source, p.policy, k.*
    from s
    left join lateral (select policy from public.signature_policies p where p.source = s.source
                        order by sequence desc limit 1) p on true
    left join lateral (${keysText(sql`s.source`, ofKeys)}) k on true
   order by s.source, k.from_ms, k.sequence`

const allKeys = sql`true`
const notLongEnded = sql`(k.valid_until is null or k.valid_until > now() - ${KEPT_ENDED})`

/** A key object costs more to make than a row to read: those that were made are kept as long as they are in use. */
class KeyCache {
  #known = new Map<string, VerifierKey>()
  #used = new Map<string, VerifierKey>()

  of(name: string, publicKey: Buffer): VerifierKey {
    const mark = `${publicKey.toString('base64')} ${name}`
    const key = this.#used.get(mark) ?? this.#known.get(mark) ?? verifierKey(name, publicKey)
    this.#used.set(mark, key)
    return key
  }

  /** Forgets what was not asked for since the last time. */
  sweep(): void {
    this.#known = this.#used
    this.#used = new Map()
  }
}

export function createProducerStore(database: Database): ProducerStore {
  const db = drizzle(database.readers)
  const cache = new KeyCache()
  const change = (doing: string, source: string, work: (tx: Transaction, before: Loaded) => Promise<void>) =>
    guarded(doing, () =>
      inTransaction(database.readers, TRANSACTION_TIMEOUT_MS, async (tx) => {
        await tx.execute(sql`select pg_advisory_xact_lock(${LOCK})`)
        const before = await loadOne(tx, source)
        if (before === null) await refuseTooManySources(tx)
        await work(tx, before ?? { source, policy: 'ignore', keys: [], unreadable: [] })
        const after = await loadOne(tx, source)
        if (after === null) throw new ServiceError('INTERNAL', 'The source that was just stored is gone')
        return presented(after)
      }),
    )
  return {
    signatureSources: () =>
      guarded('reading the keys of producers', async () => {
        const loaded = await load(db, sql`true`, MAX_SOURCES, notLongEnded, cache)
        cache.sweep()
        const signing = loaded.filter(({ policy }) => policy !== 'ignore')
        return new Map(signing.map((each) => [each.source, signaturesOf(each)]))
      }),
    listSources: ({ source, after, limit }) =>
      guarded('listing the keys of producers', async () => {
        const condition = source === undefined ? sql`source > ${after ?? ''}` : sql`source = ${source}`
        return (await load(db, condition, limit, allKeys)).map(presented)
      }),
    keysAt: (source, at) =>
      guarded('reading the keys of a producer', async () => {
        const instant = sql`${at.toISOString()}::timestamptz`
        const thenValid = sql`k.valid_from <= ${instant} and (k.valid_until is null or k.valid_until > ${instant})`
        const { rows } = await db.execute<KeyRow>(keysText(sql`${source}`, thenValid))
        return rows.flatMap((row) => readKey(row, new KeyCache())?.key ?? [])
      }),
    putKey: (request, createdBy) =>
      change('storing the key of a producer', request.source, (tx, before) =>
        insertKey(tx, before, request, createdBy),
      ),
    putPolicy: (request, createdBy) =>
      change('storing a signature policy', request.source, (tx, before) =>
        insertPolicy(tx, before, request, createdBy),
      ),
  }
}

interface LoadedKey extends ProducerKey {
  readonly valid: boolean
  readonly ended: boolean
}

interface Loaded extends ProducerSource {
  readonly keys: readonly LoadedKey[]
  /** Numbers of rows that have not ended. */
  readonly unreadable: readonly string[]
}

async function load(
  db: Executor,
  condition: ReturnType<typeof sql>,
  limit: number,
  ofKeys: ReturnType<typeof sql>,
  cache = new KeyCache(),
): Promise<Loaded[]> {
  const { rows } = await db.execute<SourceRow>(sourcesText(condition, limit, ofKeys))
  const sources = new Map<string, Loaded & { keys: LoadedKey[]; unreadable: string[] }>()
  for (const row of rows) {
    const { source, policy } = row
    const known = sources.get(source) ?? { source, policy: policyOf(policy), keys: [], unreadable: [] }
    sources.set(source, known)
    if (!hasKey(row)) continue
    const key = readKey(row, cache)
    if (key !== null) known.keys.push(key)
    else if (!row.ended) known.unreadable.push(row.sequence)
  }
  return [...sources.values()].map((each) =>
    each.unreadable.length === 0 ? each : { ...each, policy: 'require' },
  )
}

const hasKey = (row: SourceRow): row is SourceRow & KeyRow => typeof row.sequence === 'string'

/**
 * Null for a row that this program did not write and cannot read: one such row must not keep the others from being read.
 * The database admits any name, any key id beside a key, and infinite instants.
 */
function readKey(row: KeyRow, cache: KeyCache): LoadedKey | null {
  const { name, key_id: keyId, public_key: publicKey, from_ms: fromMs, until_ms: untilMs, valid, ended } = row
  if (!isKeyName(name) || publicKey.length !== KEY_BYTES) return null
  if (!isPresentableInstant(fromMs) || (untilMs !== null && !isPresentableInstant(untilMs))) return null
  const key = cache.of(name, publicKey)
  if (key.keyId !== keyId) return null
  const validUntil = untilMs === null ? null : new Date(untilMs)
  return { key, validFrom: new Date(fromMs), validUntil, valid, ended }
}

const loadOne = async (db: Executor, source: string): Promise<Loaded | null> =>
  (await load(db, sql`source = ${source}`, 1, allKeys))[0] ?? null

/** What is not known is taken for the strictest. */
const policyOf = (text: string | null): SignaturePolicy =>
  text === null ? 'ignore' : (policies.find((each) => each === text) ?? 'require')

const signaturesOf = ({ policy, keys, unreadable }: Loaded): SourceSignatures => ({
  policy,
  keys: keys.map(withoutState),
  ...(unreadable.length > 0 && { unreadable }),
})

const presented = ({ source, policy, keys }: Loaded): ProducerSource => ({
  source,
  policy,
  keys: keys.map(withoutState),
})

const withoutState = ({ key, validFrom, validUntil }: LoadedKey): ProducerKey => ({
  key,
  validFrom,
  validUntil,
})

async function insertKey(
  tx: Transaction,
  before: Loaded,
  { key, validFrom, validUntil }: ProducerKeyRequest,
  createdBy: string,
): Promise<void> {
  const now = await clock(tx)
  const others = before.keys.filter((each) => each.key.text !== key.text && !each.ended)
  // To end a key is always possible.
  if (others.length >= MAX_SOURCE_KEYS && (validUntil === undefined || validUntil > now))
    throw new ServiceError('PRODUCERS_FULL', `The source has ${MAX_SOURCE_KEYS} keys already: end one first`)
  const from = validFrom ?? (await knownBeginning(tx, before.source, key)) ?? now
  if (validUntil !== undefined && validUntil <= from)
    throw new ServiceError('BAD_REQUEST', 'validUntil: lies before the key is valid', {
      fields: [{ path: 'validUntil', message: 'lies before the key is valid' }],
    })
  const { name, keyId, publicKey } = key
  const { source } = before
  await tx
    .insert(producerKeys)
    .values({ source, name, keyId, publicKey, validFrom: from, validUntil: validUntil ?? null, createdBy })
}

/** When the key was valid from, as was last said; it may be one of those that are not read at once any more. */
async function knownBeginning(
  tx: Transaction,
  source: string,
  { name, keyId, text }: VerifierKey,
): Promise<Date | null> {
  const { rows } = await tx.execute<KeyRow>(sql`
    select ${keyColumns} from public.producer_keys k
     where k.source = ${source} and k.name = ${name} and k.key_id = ${keyId} order by k.sequence desc limit 1`)
  const [row] = rows
  const known = row === undefined ? null : readKey(row, new KeyCache())
  return known?.key.text === text ? known.validFrom : null
}

async function insertPolicy(
  tx: Transaction,
  { source, keys }: Loaded,
  { policy }: SignaturePolicyRequest,
  createdBy: string,
): Promise<void> {
  if (policy !== 'ignore' && !keys.some(({ valid }) => valid))
    throw new ServiceError(
      'PRODUCER_KEY_MISSING',
      `No key of the source is valid now: with the policy ${policy} every signature would be a bad one`,
    )
  await tx.insert(signaturePolicies).values({ source, policy, createdBy })
}

async function clock(tx: Transaction): Promise<Date> {
  const { rows } = await tx.execute<{ ms: string }>(
    sql`select (extract(epoch from now()) * 1000)::bigint as ms`,
  )
  return new Date(Number(onlyRow(rows, 'the clock').ms))
}

async function refuseTooManySources(tx: Transaction): Promise<void> {
  const { rows } = await tx.execute<{ count: number }>(sql`
    select count(*)::int as count from (select source from public.signature_policies
                                        union select source from public.producer_keys) s`)
  if (onlyRow(rows, 'the count').count >= MAX_SOURCES)
    throw new ServiceError('PRODUCERS_FULL', `${MAX_SOURCES} sources have keys or policies already`)
}
