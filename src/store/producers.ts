import type { NodePgDatabase } from 'drizzle-orm/node-postgres'
import { drizzle, sql } from '../../drizzle/orm.ts'
import { producerKeys, signaturePolicies } from '../../drizzle/schema.ts'
import { type VerifierKey, verifierKey } from '../domain/evidence/noteKeys.ts'
import type { ProducerKeyRequest, SignaturePolicyRequest } from '../domain/producerRequests.ts'
import {
  MAX_SOURCE_KEYS,
  signaturePolicies as policies,
  type SignaturePolicy,
  type SourceSignatures,
} from '../domain/producerSignature.ts'
import { ServiceError } from '../errors.ts'
import type { ProducerKey, ProducerSource, ProducerStore } from '../ports.ts'
import type { Database } from './database.ts'
import { guarded } from './failure.ts'
import { inTransaction, onlyRow, type Transaction } from './transaction.ts'

const TRANSACTION_TIMEOUT_MS = 30_000
/** Beside the locks of create_events_partition and of the signing keys. */
const LOCK = sql.raw('1937010286, 3')
/** Every ingest process holds them all, and asks for them every few seconds. */
const MAX_SOURCES = 10_000
/** Rows of one source's history are not read further back; a new validity of a key is one. */
const MAX_KEYS_EVER = 1_000

type Executor = NodePgDatabase | Transaction

interface SourceRow extends Record<string, unknown> {
  readonly source: string
  readonly policy: string | null
  readonly name: string | null
  readonly public_key: Buffer | null
  readonly from_ms: string | null
  readonly until_ms: string | null
  readonly valid: boolean | null
  readonly ended: boolean | null
}

/** Of each source the newest policy, beside each of its keys with the newest validity; `condition` is about `s.source`. */
const sourcesText = (condition: ReturnType<typeof sql>, limit: number) => sql`
  with s as (select source from (select source from public.signature_policies
                                 union select source from public.producer_keys) s
              where ${condition} order by source limit ${limit})
  select s.source, p.policy, k.name, k.public_key,
         (extract(epoch from k.valid_from) * 1000)::bigint as from_ms,
         (extract(epoch from k.valid_until) * 1000)::bigint as until_ms,
         k.valid_from <= now() and (k.valid_until is null or k.valid_until > now()) as valid,
         k.valid_until <= now() as ended
    from s
    left join lateral (select policy from public.signature_policies p where p.source = s.source
                        order by sequence desc limit 1) p on true
    left join lateral (select distinct on (name, key_id) * from public.producer_keys k
                        where k.source = s.source order by name, key_id, sequence desc limit ${MAX_KEYS_EVER}) k on true
   order by s.source, k.valid_from, k.sequence`

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
        await work(tx, before ?? { source, policy: 'ignore', keys: [] })
        const after = await loadOne(tx, source)
        if (after === null) throw new ServiceError('INTERNAL', 'The source that was just stored is gone')
        return presented(after)
      }),
    )
  return {
    signatureSources: () =>
      guarded('reading the keys of producers', async () => {
        const loaded = await load(db, sql`true`, MAX_SOURCES, cache)
        cache.sweep()
        const signing = loaded.filter(({ policy }) => policy !== 'ignore')
        return new Map(signing.map((each) => [each.source, signaturesOf(each)]))
      }),
    listSources: ({ source, after, limit }) =>
      guarded('listing the keys of producers', async () => {
        const condition = source === undefined ? sql`source > ${after ?? ''}` : sql`source = ${source}`
        return (await load(db, condition, limit)).map(presented)
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
}

async function load(
  db: Executor,
  condition: ReturnType<typeof sql>,
  limit: number,
  cache = new KeyCache(),
): Promise<Loaded[]> {
  const { rows } = await db.execute<SourceRow>(sourcesText(condition, limit))
  const sources = new Map<string, Loaded & { keys: LoadedKey[] }>()
  for (const row of rows) {
    const known = sources.get(row.source) ?? { source: row.source, policy: policyOf(row.policy), keys: [] }
    sources.set(row.source, known)
    if (row.name === null || row.public_key === null) continue
    known.keys.push({
      key: cache.of(row.name, row.public_key),
      validFrom: new Date(Number(row.from_ms)),
      validUntil: row.until_ms === null ? null : new Date(Number(row.until_ms)),
      valid: row.valid === true,
      ended: row.ended === true,
    })
  }
  return [...sources.values()]
}

const loadOne = async (db: Executor, source: string): Promise<Loaded | null> =>
  (await load(db, sql`source = ${source}`, 1))[0] ?? null

/** What is not known is taken for the strictest. */
const policyOf = (text: string | null): SignaturePolicy =>
  text === null ? 'ignore' : (policies.find((each) => each === text) ?? 'require')

const signaturesOf = ({ policy, keys }: Loaded): SourceSignatures => ({
  policy,
  keys: keys.filter(({ valid }) => valid).map(({ key }) => key),
})

const presented = ({ source, policy, keys }: Loaded): ProducerSource => ({
  source,
  policy,
  keys: keys.map(({ key, validFrom, validUntil }) => ({ key, validFrom, validUntil })),
})

async function insertKey(
  tx: Transaction,
  before: Loaded,
  { key, validFrom, validUntil }: ProducerKeyRequest,
  createdBy: string,
): Promise<void> {
  const known = before.keys.find((each) => each.key.text === key.text)
  if (before.keys.filter((each) => each !== known && !each.ended).length >= MAX_SOURCE_KEYS)
    throw new ServiceError('PRODUCERS_FULL', `The source has ${MAX_SOURCE_KEYS} keys already: end one first`)
  const from = validFrom ?? known?.validFrom ?? (await clock(tx))
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
