import type { SQL } from 'drizzle-orm'
import { and, desc, drizzle, eq, sql } from '../../drizzle/orm.ts'
import { checkpointPositions, checkpoints } from '../../drizzle/schema.ts'
import { hashFromBytes, hashToBytes } from '../domain/hash.ts'
import { type LeafIndex, type LogId, leafIndex, logId, offset } from '../domain/model.ts'
import { ServiceError } from '../errors.ts'
import type {
  Checkpoint,
  CheckpointStanding,
  CheckpointStore,
  NewCheckpoint,
  SignedPosition,
} from '../ports.ts'
import type { Database } from './database.ts'
import { AWAY, runsAmong } from './detached.ts'
import { guarded } from './failure.ts'
import { holdKeys } from './signingKeys.ts'
import { inTransaction, type Transaction } from './transaction.ts'

const TRANSACTION_TIMEOUT_MS = 30_000

export const isUuid = (text: string): boolean =>
  /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i.test(text)

export function createCheckpointStore(database: Database): CheckpointStore {
  const db = drizzle(database.readers)

  return {
    insertCheckpoint: (checkpoint) =>
      guarded('storing a checkpoint', async () => {
        await inTransaction(database.readers, TRANSACTION_TIMEOUT_MS, (tx) => insert(tx, checkpoint))
        return present(await find(db, eq(checkpoints.id, checkpoint.id)))
      }),
    getCheckpoint: (id) =>
      guarded('looking for a checkpoint', async () => {
        if (!isUuid(id)) return null
        return find(db, eq(checkpoints.id, id))
      }),
    latestCheckpoint: ({ topic, partition }) =>
      guarded('looking for the latest checkpoint', () => {
        const conditions: SQL[] = []
        if (topic !== undefined) conditions.push(eq(checkpoints.topic, topic))
        if (partition !== undefined)
          conditions.push(sql`exists (select from ${checkpointPositions}
            where ${checkpointPositions.checkpointId} = ${checkpoints.id}
              and ${checkpointPositions.partition} = ${partition})`)
        return find(db, and(...conditions))
      }),
    largestSigned: (id) =>
      guarded('looking for the largest checkpoint of a log', () => largestSigned(db, id)),
    newestCovering: (id, index) =>
      guarded('looking for a checkpoint over a leaf', () => newestCovering(db, id, index)),
    standingOf: (topic) => guarded('comparing logs with checkpoints', () => standingOf(db, topic)),
  }
}

/** The same id again changes nothing. */
async function insert(tx: Transaction, checkpoint: NewCheckpoint): Promise<void> {
  const { id, topic, partition, offset: at, createdAt, createdBy, positions, signedUnder } = checkpoint
  if (signedUnder !== undefined) await holdKeys(tx, signedUnder)
  const inserted = await tx
    .insert(checkpoints)
    .values({ id, topic, partition, offset: at, createdBy, ...(createdAt !== undefined && { createdAt }) })
    .onConflictDoNothing({ target: checkpoints.id })
    .returning({ id: checkpoints.id })
  if (inserted.length === 0 || positions.length === 0) return
  await tx.insert(checkpointPositions).values(
    positions.map((position) => ({
      checkpointId: id,
      logId: position.logId,
      partition: position.partition,
      offset: position.offset,
      size: position.size,
      rootHash: hashToBytes(position.rootHash),
      note: position.note,
    })),
  )
  const lost = await tx.execute(endsAmongAway(id))
  if (lost.rowCount === 0) return
  throw new ServiceError('DETACHED', 'The checkpoint ends among leaves that were detached while it was made')
}

/** Leaves of the block of 256 that a position `p` does not fill. */
const LAST_BLOCK = { log: 'p.log_id', from: 'p.size - p.size % 256', to: 'p.size' }

/**
 * A detachment writes down the leaf hashes around each checkpoint that it knows, and waits for those that are being stored. One
 * that was computed before it and comes after it would have a root that nobody can compute again.
 */
const endsAmongAway = (id: string): SQL => sql`
  select from public.checkpoint_positions p
   cross join lateral ${sql.raw(runsAmong('leaf', LAST_BLOCK))} l
   where p.checkpoint_id = ${id} and p.size % 256 <> 0
     and l.detachment in (select sequence from (${sql.raw(AWAY)}) away)
     and not exists (select from public.detached_hashes h where h.detachment = l.detachment and h.log_id = l.log_id
                        and h.from_leaf >= p.size - p.size % 256 and h.from_leaf < p.size)
   limit 1`

/** The newest that matches, with its positions. */
async function find(db: ReturnType<typeof drizzle>, condition: SQL | undefined): Promise<Checkpoint | null> {
  const [row] = await db
    .select()
    .from(checkpoints)
    .where(condition)
    .orderBy(desc(checkpoints.sequence))
    .limit(1)
  if (row === undefined) return null
  const positions = await db
    .select()
    .from(checkpointPositions)
    .where(eq(checkpointPositions.checkpointId, row.id))
    .orderBy(checkpointPositions.partition)
  return {
    id: row.id,
    topic: row.topic,
    partition: row.partition,
    offset: row.offset === null ? null : offset(row.offset),
    createdAt: row.createdAt,
    createdBy: row.createdBy,
    positions: positions.map((position) => ({
      logId: logId(position.logId),
      partition: position.partition,
      offset: offset(position.offset),
      size: leafIndex(position.size),
      rootHash: hashFromBytes(position.rootHash),
      note: position.note,
    })),
  }
}

/** Of a row that nobody here wrote, with an infinite time, the beginning of 1970: no key signed then. */
const coveringColumns = sql`p.checkpoint_id, p.partition, p."offset", p.size, p.root_hash, p.note,
           case when isfinite(c.created_at) then (extract(epoch from c.created_at) * 1000)::bigint else 0 end as created_ms`

/**
 * From the newest backwards, which finds one at once unless many newer ones cover less; that there is one at all, the
 * index by size says first.
 */
async function newestCovering(
  db: ReturnType<typeof drizzle>,
  id: LogId,
  index: LeafIndex,
): Promise<SignedPosition | null> {
  const covers = sql`log_id = ${id} and size > ${index} and note is not null`
  const { rows } = await db.execute<CoveringRow>(sql`
    select ${coveringColumns}
      from public.checkpoints c
      join lateral (select * from public.checkpoint_positions where checkpoint_id = c.id and ${covers}) p on true
     where c.topic = (select topic from public.partition_logs where id = ${id})
       and exists (select from public.checkpoint_positions where ${covers})
     order by c.sequence desc limit 1`)
  return rows[0] === undefined ? null : signedPosition(id, rows[0])
}

const signedPosition = (id: LogId, row: CoveringRow): SignedPosition => ({
  checkpointId: row.checkpoint_id,
  createdAt: new Date(Number(row.created_ms)),
  logId: id,
  partition: row.partition,
  offset: offset(BigInt(row.offset)),
  size: leafIndex(BigInt(row.size)),
  rootHash: hashFromBytes(row.root_hash),
  note: row.note,
})

async function largestSigned(db: ReturnType<typeof drizzle>, id: LogId): Promise<SignedPosition | null> {
  const { rows } = await db.execute<CoveringRow>(sql`
    select ${coveringColumns}
      from (select * from public.checkpoint_positions where log_id = ${id} and note is not null
             order by size desc limit 1) p
      join public.checkpoints c on c.id = p.checkpoint_id`)
  return rows[0] === undefined ? null : signedPosition(id, rows[0])
}

/** Per log one probe of the index by size, and one walk back over the topic's checkpoints. */
async function standingOf(db: ReturnType<typeof drizzle>, topic: string): Promise<CheckpointStanding> {
  const { rows } = await db.execute<StandingRow>(sql`
    select u.uncovered, n.id, n.created_ms, n.age_ms
      from (select coalesce(sum(l.size - coalesce((select max(p.size) from public.checkpoint_positions p
                                                    where p.log_id = l.id), 0)), 0) as uncovered
              from (select distinct on (partition) id, size from public.partition_logs where topic = ${topic}
                     order by partition, incarnation desc) l) u
      left join (select id, (extract(epoch from created_at) * 1000)::bigint as created_ms,
                        (extract(epoch from clock_timestamp() - created_at) * 1000)::bigint as age_ms
                   from public.checkpoints
                  where topic = ${topic} and partition is null and "offset" is null and isfinite(created_at)
                  order by sequence desc limit 1) n on true`)
  const [row] = rows
  if (row === undefined) throw new ServiceError('INTERNAL', 'An aggregate without a row')
  const { id, created_ms: createdMs, age_ms: ageMs, uncovered } = row
  return {
    newest: id === null ? null : { id, createdAt: new Date(Number(createdMs)), ageMs: Number(ageMs) },
    uncovered: BigInt(uncovered),
  }
}

interface StandingRow extends Record<string, unknown> {
  readonly uncovered: string
  readonly id: string | null
  readonly created_ms: string | null
  readonly age_ms: string | null
}

interface CoveringRow extends Record<string, unknown> {
  readonly checkpoint_id: string
  readonly created_ms: string
  readonly partition: number
  readonly offset: string
  readonly size: string
  readonly root_hash: Buffer
  readonly note: string
}

function present(checkpoint: Checkpoint | null): Checkpoint {
  if (checkpoint === null) throw new ServiceError('INTERNAL', 'The checkpoint that was just stored is gone')
  return checkpoint
}
