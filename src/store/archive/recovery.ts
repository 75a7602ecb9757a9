/** Writes logs that were archived into an empty database, as its owner: all in one transaction, or nothing. */
import { Client, DatabaseError } from 'pg'
import type { ArchivedCheckpoint } from '../../domain/archive/checkpointLine.ts'
import type { HoldView } from '../../domain/archive/hold.ts'
import type { KeyPeriod } from '../../domain/evidence/keyPeriods.ts'
import { hashToBytes } from '../../domain/hash.ts'
import { encodeFrontier } from '../../domain/merkle.ts'
import { type LogId, logId } from '../../domain/model.ts'
import { CommitUnknown, ServiceError } from '../../errors.ts'
import type {
  LogToRestore,
  ProducerSource,
  RecoveryStore,
  RecoveryWriter,
  RestoredNode,
  RestoredPosition,
} from '../../ports.ts'
import { ChunkPool } from '../chunks.ts'
import { guarded, sqlStateOf } from '../failure.ts'
import { newestMigration, readJournal } from '../migrate.ts'
import { parseDatabaseUrl } from '../roles.ts'
import { createLook, type SilenceLimits, watchConnection } from '../silence.ts'
import { onlyRow } from '../transaction.ts'
import { insertRepeats, judgeRepeats, openRepeats } from './restoredRepeats.ts'
import { copyRestoredRows } from './restoredRows.ts'

/** Whatever is in one of these would be mixed up with what is recovered. */
const MUST_BE_EMPTY = [
  'partition_logs',
  'events',
  'dead_letters',
  'gaps',
  'log_nodes',
  'checkpoints',
  'signing_keys',
  'producer_keys',
  'signature_policies',
  'replays',
  'verifications',
  'archives',
  'legal_holds',
  'detached_partitions',
]
/** A partition with its two indexes, its TOAST table and that one's index. */
const LOCKS_PER_DAY = 5
const OTHER_LOCKS = 200
const RECOVERED_BY = 'recovery'
const KEEP_ALIVE_MS = 10_000
/** For how long the server may go on with a commit when the signal comes in the middle of it. */
const COMMIT_PATIENCE_MS = 5_000
/** Archives may be read for long between two statements, and a statement may be large. Not every version has all of these. */
const SETTINGS = `set timezone to 'UTC'; set lock_timeout to '10s';
  select set_config(name, '0', false) from pg_settings
   where name in ('statement_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout')`

export interface RecoveryDatabase extends RecoveryStore {
  close(): Promise<void>
}

/**
 * One connection as the owner of the database. It is cut when the signal comes, whatever the server does, and when nothing that is
 * sent on it arrives any more: what is not committed is undone. Throws DATABASE_UNAVAILABLE, BAD_REQUEST for an address that is none.
 */
export async function openRecovery(
  ownerUrl: string,
  signal: AbortSignal,
  silence?: SilenceLimits,
): Promise<RecoveryDatabase> {
  parseDatabaseUrl(ownerUrl, 'DATABASE_ADMIN_URL')
  const client = new Client({
    connectionString: ownerUrl,
    application_name: 'streaming-ingest/recover',
    connectionTimeoutMillis: 10_000,
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEP_ALIVE_MS,
  })
  client.on('error', () => undefined) // the statement in flight fails with the same error
  signal.throwIfAborted()
  const cut = (): void => void client.connection.stream.destroy(new Error('Connection terminated: given up'))
  signal.addEventListener('abort', cut, { once: true })
  const committing = async (commit: () => Promise<void>): Promise<void> => {
    signal.throwIfAborted()
    signal.removeEventListener('abort', cut)
    const cutLater = (): void => void setTimeout(cut, COMMIT_PATIENCE_MS).unref()
    signal.addEventListener('abort', cutLater, { once: true })
    await commit()
  }
  await asOwner('connecting', () => client.connect())
  const look = createLook({ connectionString: ownerUrl, application_name: 'streaming-ingest/recover/look' })
  watchConnection(client, look, silence)
  await asOwner('connecting', () => client.query(SETTINGS))
  return {
    tablesInUse: () => asOwner('looking whether the database is empty', () => tablesInUse(client)),
    inTransaction: (work) => asOwner('recovering', () => inTransaction(client, work, committing)),
    close: () => client.end(),
  }
}

/** What an operator can mend, in words for him. */
async function asOwner<T>(doing: string, work: () => Promise<T>): Promise<T> {
  try {
    return await guarded(doing, work)
  } catch (error) {
    switch (sqlStateOf(error)) {
      case '3D000':
        throw new ServiceError('BAD_REQUEST', 'There is no database of that name: pnpm db:migrate makes it')
      case '42501':
        throw new ServiceError(
          'FORBIDDEN',
          'Only the owner of the database may recover it: DATABASE_ADMIN_URL',
        )
      case '55P03':
        throw new ServiceError(
          'DATABASE_UNAVAILABLE',
          'Somebody holds a lock in the database: a role of the platform runs on it, or another recovery. Nothing was written',
        )
      default:
        throw error
    }
  }
}

const notEmpty = (used: readonly string[]): ServiceError =>
  new ServiceError('DATABASE_NOT_EMPTY', `The database is not empty: there are rows in ${used.join(', ')}`)

async function tablesInUse(client: Client): Promise<readonly string[]> {
  const wanted = (await readJournal()).at(-1)?.when ?? 0
  const newest = await newestMigration(client)
  if (newest === null || newest < wanted)
    throw new ServiceError('SCHEMA_OUTDATED', 'The database has no schema of this version: pnpm db:migrate')
  const used: string[] = []
  for (const table of MUST_BE_EMPTY) {
    const { rowCount } = await client.query(`select from public.${table} limit 1`)
    if (rowCount !== 0) used.push(table)
  }
  return used
}

/** How many days one transaction can lock, by what the server has room for. */
async function lockableDays(client: Client): Promise<number> {
  const { rows } = await client.query<{ locks: number }>(
    `select current_setting('max_locks_per_transaction')::int
          * (current_setting('max_connections')::int + current_setting('max_prepared_transactions')::int) as locks`,
  )
  return Math.floor((onlyRow(rows, 'the settings').locks - OTHER_LOCKS) / LOCKS_PER_DAY)
}

/** Makes each once. */
class Days {
  readonly #client: Client
  readonly #most: number
  readonly #made = new Set<number>()

  constructor(client: Client, most: number) {
    this.#client = client
    this.#most = most
  }

  async make(days: ReadonlySet<number>): Promise<void> {
    for (const day of days) {
      if (this.#made.has(day)) continue
      if (this.#made.size === this.#most)
        throw new ServiceError(
          'SCHEMA_OUTDATED',
          `The database has room for locks on ${this.#most} days, and the archives have more: raise max_locks_per_transaction (${LOCKS_PER_DAY} a day) and restart it`,
        )
      await this.#client.query('select public.create_events_partition($1::date)', [
        new Date(day).toISOString().slice(0, 10),
      ])
      this.#made.add(day)
    }
  }
}

async function inTransaction<T>(
  client: Client,
  work: (writer: RecoveryWriter) => Promise<T>,
  committing: (commit: () => Promise<void>) => Promise<void>,
): Promise<T> {
  await client.query('begin')
  try {
    // It would begin every log now, and empty. With the lock that this takes, nobody else opens or moves a log meanwhile.
    await client.query('alter table public.partition_logs disable trigger open_log')
    const used = await tablesInUse(client)
    if (used.length > 0) throw notEmpty(used)
    await client.query(`
      create temp table restored_checkpoints (
        id uuid, topic text, partition integer, "offset" bigint, created_at timestamptz, created_by text,
        log_id integer, of_partition integer, at bigint, size bigint, root_hash bytea, note text
      ) on commit drop`)
    await openRepeats(client)
    const result = await work(createWriter(client, new Days(client, await lockableDays(client))))
    await client.query('alter table public.partition_logs enable always trigger open_log')
    await committing(() => commit(client))
    return result
  } catch (error) {
    // On a broken connection this fails too, and would hide why.
    await client.query('rollback').catch(() => undefined)
    throw error
  }
}

async function commit(client: Client): Promise<void> {
  try {
    await client.query('commit')
  } catch (error) {
    if (error instanceof DatabaseError) throw error
    throw new CommitUnknown(
      'The connection was lost while all of it was committed, so nobody knows whether it was: recover again. DATABASE_NOT_EMPTY says that it was, and operator_actions has the report',
      { cause: error },
    )
  }
}

/** In the order in which they were made: the last is the latest. */
async function placeCheckpoints(client: Client): Promise<number> {
  const { rowCount } = await client.query(`
    insert into public.checkpoints (id, topic, partition, "offset", created_at, created_by)
    select id, topic, partition, "offset", created_at, created_by
      from (select distinct on (id) * from restored_checkpoints order by id) once order by created_at, id`)
  await client.query(`
    insert into public.checkpoint_positions (checkpoint_id, log_id, partition, "offset", size, root_hash, note)
    select distinct on (id, log_id) id, log_id, of_partition, at, size, root_hash, note from restored_checkpoints`)
  return rowCount ?? 0
}

function createWriter(client: Client, days: Days): RecoveryWriter {
  const chunks = new ChunkPool()
  return {
    openLog: (log) => openLog(client, log),
    makeDays: (wanted) => days.make(wanted),
    async appendRows(id, rows, nodes) {
      await copyRestoredRows(client, chunks, id, rows)
      await insertNodes(client, id, nodes)
    },
    appendRepeats: (id, repeats) => insertRepeats(client, id, repeats),
    judgeRepeats: () => judgeRepeats(client),
    closeLog: (id, position, leaderEpoch) => closeLog(client, id, position, leaderEpoch),
    restoreCheckpoints: (id, checkpoints) => restoreCheckpoints(client, id, checkpoints),
    placeCheckpoints: () => placeCheckpoints(client),
    restoreKeys: (periods) => restoreKeys(client, periods),
    restoreProducers: (sources) => restoreProducers(client, sources),
    restoreHolds: (holds) => restoreHolds(client, holds),
    async recordRecovery(actor, detail) {
      await client.query(
        `insert into public.operator_actions (actor, action, target, outcome, request_id, detail)
         values ($1, 'database.recover', current_database(), 'done', gen_random_uuid()::text, $2)`,
        [actor, JSON.stringify(detail)],
      )
    },
  }
}

async function openLog(client: Client, log: LogToRestore): Promise<LogId> {
  const { identity, incarnation, startOffset, leaderEpoch, createdMs } = log
  const { rows } = await client.query<{ id: number }>(
    `insert into public.partition_logs (topic, partition, topic_id, incarnation, leader_epoch, start_offset, next_offset,
                                        size, bytes, frontier, created_at)
     values ($1, $2, $3, $4, $5, $6, $6, 0, 0, '', to_timestamp($7::float8 / 1000)) returning id`,
    [
      identity.topic,
      identity.partition,
      identity.topicId,
      incarnation,
      leaderEpoch,
      `${startOffset}`,
      createdMs,
    ],
  )
  return logId(onlyRow(rows, 'the log that was just opened').id)
}

async function insertNodes(client: Client, id: LogId, nodes: readonly RestoredNode[]): Promise<void> {
  if (nodes.length === 0) return
  await client.query(
    `insert into public.log_nodes (log_id, level, index, hash, end_offset, bytes, ingested_at)
     select $1, level, index, hash, end_offset, bytes, to_timestamp(ms / 1000)
       from unnest($2::smallint[], $3::bigint[], $4::bytea[], $5::bigint[], $6::bigint[], $7::float8[])
            as node (level, index, hash, end_offset, bytes, ms)`,
    [
      id,
      nodes.map((node) => node.level),
      nodes.map((node) => `${node.index}`),
      nodes.map((node) => hashToBytes(node.hash)),
      nodes.map((node) => `${node.endOffset}`),
      nodes.map((node) => `${node.bytes}`),
      nodes.map((node) => node.ingestedMs),
    ],
  )
}

async function closeLog(
  client: Client,
  id: LogId,
  { nextOffset, size, frontier, bytes, lastIngestedMs }: RestoredPosition,
  leaderEpoch: number,
): Promise<void> {
  await client.query(
    `update public.partition_logs set next_offset = $2, size = $3, frontier = $4, bytes = $5,
            last_ingested_at = to_timestamp($6::float8 / 1000), leader_epoch = greatest(leader_epoch, $7)
      where id = $1`,
    [id, `${nextOffset}`, `${size}`, encodeFrontier(frontier), `${bytes}`, lastIngestedMs, leaderEpoch],
  )
}

async function restoreCheckpoints(
  client: Client,
  id: LogId,
  checkpoints: readonly ArchivedCheckpoint[],
): Promise<void> {
  if (checkpoints.length === 0) return
  await client.query(
    `insert into restored_checkpoints
     select c.id, c.topic, c.partition, c."offset", to_timestamp(c.ms / 1000), c.created_by, $1, l.partition, c.at, c.size,
            c.root_hash, c.note
       from unnest($2::uuid[], $3::text[], $4::integer[], $5::bigint[], $6::float8[], $7::text[], $8::bigint[], $9::bigint[],
                   $10::bytea[], $11::text[])
            as c (id, topic, partition, "offset", ms, created_by, at, size, root_hash, note)
       join public.partition_logs l on l.id = $1`,
    [
      id,
      checkpoints.map((each) => each.id),
      checkpoints.map((each) => each.topic),
      checkpoints.map((each) => each.partition),
      checkpoints.map((each) => each.offset),
      checkpoints.map((each) => each.createdAt),
      checkpoints.map((each) => each.createdBy),
      checkpoints.map((each) => each.position.offset),
      checkpoints.map((each) => each.position.size),
      checkpoints.map((each) => Buffer.from(each.position.rootHash, 'hex')),
      checkpoints.map((each) => each.position.note),
    ],
  )
}

/** A period shorter than a millisecond begins and ends in the same one; a row must end behind its beginning. */
const endOf = (from: string, until: string): string =>
  `case when ${until} is not null then greatest(${until}, ${from} + interval '1 microsecond') end`

async function restoreKeys(client: Client, periods: readonly KeyPeriod[]): Promise<void> {
  const [from, until] = ['to_timestamp($4::float8 / 1000)', 'to_timestamp($5::float8 / 1000)']
  for (const { key, fromMs, untilMs } of periods)
    await client.query(
      `insert into public.signing_keys (name, key_id, public_key, signs_from, signs_until)
       values ($1, $2, $3, ${from}, ${endOf(from, until)})`,
      [key.name, key.keyId, key.publicKey, fromMs, untilMs],
    )
}

async function restoreProducers(client: Client, sources: readonly ProducerSource[]): Promise<void> {
  for (const { source, policy, keys } of sources) {
    for (const { key, validFrom, validUntil } of keys)
      await client.query(
        `insert into public.producer_keys (source, name, key_id, public_key, valid_from, valid_until, created_by)
         values ($1, $2, $3, $4, $5, ${endOf('$5::timestamptz', '$6::timestamptz')}, $7)`,
        [source, key.name, key.keyId, key.publicKey, validFrom, validUntil, RECOVERED_BY],
      )
    if (policy !== 'ignore')
      await client.query(
        'insert into public.signature_policies (source, policy, created_by) values ($1, $2, $3)',
        [source, policy, RECOVERED_BY],
      )
  }
}

async function restoreHolds(client: Client, held: readonly HoldView[]): Promise<void> {
  for (const { scope, subject, held: isHeld, reason, since, by } of held)
    await client.query(
      `insert into public.legal_holds (scope, subject, held, reason, created_at, created_by)
       values ($1, $2, $3, $4, $5, $6)`,
      [scope, subject, isHeld, reason, since, by],
    )
}
