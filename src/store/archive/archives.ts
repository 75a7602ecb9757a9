import type { SQL } from 'drizzle-orm'
import { and, desc, drizzle, eq, lt, sql } from '../../../drizzle/orm.ts'
import {
  archiveFiles,
  archiveLogs,
  archiveResults,
  archives,
  partitionLogs,
} from '../../../drizzle/schema.ts'
import type { ArchivedCheckpoint } from '../../domain/archive/checkpointLine.ts'
import { hashFromBytes, hashToBytes, hashToHex } from '../../domain/hash.ts'
import { leafIndex, logId, offset } from '../../domain/model.ts'
import { ServiceError } from '../../errors.ts'
import type { ArchivedFile, ArchiveFileKind, ArchiveRecord, ArchiveStore, NewArchive } from '../../ports.ts'
import { isUuid } from '../checkpoints.ts'
import { decodeCursor, encodeCursor } from '../cursors.ts'
import type { Database } from '../database.ts'
import { detachedIn } from '../detached.ts'
import { guarded } from '../failure.ts'
import { readJournal } from '../migrate.ts'
import { frontierAt } from '../ranges.ts'
import { inTransaction, onlyRow, type Transaction } from '../transaction.ts'
import { ingestedAt, leavesBetween, leavesLeft, leavesOf } from './leafRanges.ts'

const TRANSACTION_TIMEOUT_MS = 30_000
const MAX_PAGE = 1_000
const CURSOR_KIND = 'archives'

type Db = ReturnType<typeof drizzle>

/** Append-only: what was planned, then each file, then the result; each once. */
export function createArchiveStore(database: Database): ArchiveStore {
  const pool = database.readers
  const db = drizzle(pool)
  return {
    insertArchive: (archive) =>
      guarded('storing an archive', async () => {
        await inTransaction(pool, TRANSACTION_TIMEOUT_MS, (tx) => insert(tx, archive))
        const [stored] = await find(db, eq(archives.id, archive.id), 1)
        if (stored === undefined)
          throw new ServiceError('INTERNAL', 'The archive that was just stored is gone')
        return stored.record
      }),
    getArchive: (id) =>
      guarded('looking for an archive', async () =>
        isUuid(id) ? ((await find(db, eq(archives.id, id), 1))[0]?.record ?? null) : null,
      ),
    listArchives: ({ cursor, limit }) =>
      guarded('listing archives', async () => {
        const [before] = cursor === undefined ? [] : decodeCursor(CURSOR_KIND, cursor, 1)
        const count = Math.min(limit, MAX_PAGE)
        const rows = await find(
          db,
          before === undefined ? undefined : lt(archives.sequence, before),
          count + 1,
          false,
        )
        const page = rows.slice(0, count)
        const last = page.at(-1)
        const more = rows.length > count && last !== undefined
        return {
          items: page.map(({ record }) => record),
          nextCursor: more ? encodeCursor(CURSOR_KIND, [last.sequence]) : null,
        }
      }),
    insertFile: (id, log, file) =>
      guarded('noting a file of an archive', async () => {
        await db
          .insert(archiveFiles)
          .values({ ...file, ...encoded(file), archiveId: id, logId: log })
          .onConflictDoNothing()
      }),
    lastFile: (id, log, kind) =>
      guarded('looking for the last file of an archive', async () => {
        const rows = await db
          .select()
          .from(archiveFiles)
          .where(ofLog(id, log, kind))
          .orderBy(desc(archiveFiles.ordinal))
          .limit(1)
        return rows.map(toFile)[0] ?? null
      }),
    filesOf: (id, log, kind) =>
      guarded('listing the files of an archive', async () => {
        const rows = await db
          .select()
          .from(archiveFiles)
          .where(ofLog(id, log, kind))
          .orderBy(archiveFiles.ordinal)
        return rows.map(toFile)
      }),
    insertResult: (id, result) =>
      guarded('storing the result of an archive', async () => {
        const failed = result.status !== 'verified'
        await db
          .insert(archiveResults)
          .values({
            archiveId: id,
            status: result.status,
            manifestSha256: failed ? null : hashToBytes(result.manifestHash),
            errorCode: failed ? result.code : null,
            errorDetail: failed ? result.detail.replaceAll('\u0000', '\ufffd') : null,
          })
          .onConflictDoNothing({ target: archiveResults.archiveId })
      }),
    leavesLeft: (id) => guarded('looking for what a log still has', () => leavesLeft(pool, id)),
    detachedIn: (id, range) => guarded('looking for detached leaves', () => detachedIn(pool, id, range)),
    leavesBetween: (id, fromMs, toMs) =>
      guarded('looking for a range of time', () => leavesBetween(pool, id, fromMs, toMs)),
    leavesOf: (id, from, to) => guarded('looking for leaves', () => leavesOf(pool, id, from, to)),
    ingestedAt: (id, size) => guarded('looking at a leaf', () => ingestedAt(pool, id, size)),
    frontierAt: (id, size) => guarded('computing a compact range', () => frontierAt(pool, id, size)),
    checkpointsOf: (id, range, after, limit) =>
      guarded('listing checkpoints', () => checkpointsOf(db, id, range, after, limit)),
    logCreatedAt: (id) =>
      guarded('looking at a log', async () => {
        const [row] = await db
          .select({ createdAt: partitionLogs.createdAt })
          .from(partitionLogs)
          .where(eq(partitionLogs.id, id))
        if (row === undefined) throw new ServiceError('UNKNOWN_PARTITION', `There is no log ${id}`)
        return row.createdAt.getTime()
      }),
    schemaVersion: () =>
      guarded('looking at the schema', async () => {
        const { rows } = await db.execute<{ when: string }>(
          sql`select max(created_at) as when from drizzle.__drizzle_migrations`,
        )
        const newest = Number(onlyRow(rows, 'the schema').when)
        return (await readJournal()).find(({ when }) => when === newest)?.tag ?? `newer (${newest})`
      }),
  }
}

const encoded = ({ bytes, unpackedBytes, sha256 }: ArchivedFile) => ({
  bytes: BigInt(bytes),
  unpackedBytes: BigInt(unpackedBytes),
  sha256: hashToBytes(sha256),
})

const ofLog = (id: string, log: number, kind: ArchiveFileKind) =>
  and(eq(archiveFiles.archiveId, id), eq(archiveFiles.logId, log), eq(archiveFiles.kind, kind))

const toFile = (row: typeof archiveFiles.$inferSelect): ArchivedFile => ({
  kind: row.kind === 'leaves' ? 'leaves' : 'checkpoints',
  ordinal: row.ordinal,
  fromLeaf: leafIndex(row.fromLeaf),
  toLeaf: leafIndex(row.toLeaf),
  fromOffset: offset(row.fromOffset),
  toOffset: offset(row.toOffset),
  lines: row.lines,
  name: row.name,
  bytes: Number(row.bytes),
  unpackedBytes: Number(row.unpackedBytes),
  sha256: hashFromBytes(row.sha256),
})

/** The same id again changes nothing. */
async function insert(tx: Transaction, { logs, ...archive }: NewArchive): Promise<void> {
  const inserted = await tx
    .insert(archives)
    .values({
      ...archive,
      checkpointSequence: sql`coalesce((select max(sequence) from public.checkpoints), 0)`,
    })
    .onConflictDoNothing({ target: archives.id })
    .returning({ id: archives.id })
  if (inserted.length === 0 || logs.length === 0) return
  await tx
    .insert(archiveLogs)
    .values(logs.map((log) => ({ ...log, archiveId: archive.id, rootHash: hashToBytes(log.rootHash) })))
}

interface Found {
  readonly sequence: bigint
  readonly record: ArchiveRecord
}

async function find(
  db: Db,
  condition: SQL | undefined,
  limit: number,
  withLogs = true,
): Promise<readonly Found[]> {
  const rows = await db
    .select()
    .from(archives)
    .leftJoin(archiveResults, eq(archiveResults.archiveId, archives.id))
    .where(condition)
    .orderBy(desc(archives.sequence))
    .limit(limit)
  const found: Found[] = []
  for (const { archives: row, archive_results: result } of rows) {
    const { id, workflowId, request, place, createdBy, createdAt, checkpointSequence } = row
    found.push({
      sequence: row.sequence,
      record: {
        ...{ id, workflowId, request, place, createdBy, createdAt, checkpointSequence },
        logs: withLogs ? await logsOf(db, id) : [],
        totals: await totalsOf(db, id),
        result: result === null ? null : toResult(result),
      },
    })
  }
  return found
}

const toResult = (row: typeof archiveResults.$inferSelect): NonNullable<ArchiveRecord['result']> => ({
  status: row.status === 'verified' || row.status === 'cancelled' ? row.status : 'failed',
  manifestHash: row.manifestSha256 === null ? null : hashFromBytes(row.manifestSha256),
  finishedAt: row.finishedAt,
  error: row.errorCode === null ? null : { code: row.errorCode, detail: row.errorDetail ?? '' },
})

async function logsOf(db: Db, id: string): Promise<ArchiveRecord['logs']> {
  const rows = await db
    .select({
      part: archiveLogs,
      topic: partitionLogs.topic,
      partition: partitionLogs.partition,
      topicId: partitionLogs.topicId,
      incarnation: partitionLogs.incarnation,
      startOffset: partitionLogs.startOffset,
      written: sql<string>`coalesce((select max(f.to_leaf) from public.archive_files f
         where f.archive_id = ${archiveLogs.archiveId} and f.log_id = ${archiveLogs.logId} and f.kind = 'leaves')
       - ${archiveLogs.fromLeaf}, 0)`,
    })
    .from(archiveLogs)
    .innerJoin(partitionLogs, eq(partitionLogs.id, archiveLogs.logId))
    .where(eq(archiveLogs.archiveId, id))
    .orderBy(partitionLogs.topic, partitionLogs.partition, partitionLogs.incarnation)
  return rows.map(({ part, topic, partition, topicId, incarnation, startOffset, written }) => ({
    logId: logId(part.logId),
    identity: { topic, partition, topicId },
    incarnation,
    startOffset: offset(startOffset),
    fromLeaf: leafIndex(part.fromLeaf),
    toLeaf: leafIndex(part.toLeaf),
    fromOffset: offset(part.fromOffset),
    toOffset: offset(part.toOffset),
    rootHash: hashFromBytes(part.rootHash),
    written: BigInt(written),
  }))
}

async function totalsOf(db: Db, id: string): Promise<ArchiveRecord['totals']> {
  const { rows } = await db.execute<Record<'logs' | 'leaves' | 'written' | 'files' | 'bytes', string>>(sql`
    select (select count(*) from public.archive_logs where archive_id = ${id}) as logs,
           (select coalesce(sum(to_leaf - from_leaf), 0) from public.archive_logs where archive_id = ${id}) as leaves,
           coalesce(sum(lines) filter (where kind = 'leaves'), 0) as written, count(*) as files,
           coalesce(sum(bytes), 0) as bytes
      from public.archive_files where archive_id = ${id}`)
  const row = onlyRow(rows, 'an archive')
  return {
    logs: Number(row.logs),
    leaves: BigInt(row.leaves),
    written: BigInt(row.written),
    files: Number(row.files),
    bytes: BigInt(row.bytes),
  }
}

interface CheckpointRow extends Record<string, unknown> {
  readonly id: string
  readonly topic: string
  readonly partition: number | null
  readonly asked: string | null
  readonly created_ms: string
  readonly created_by: string
  readonly offset: string
  readonly size: string
  readonly root_hash: Buffer
  readonly note: string | null
}

async function checkpointsOf(
  db: Db,
  log: number,
  range: { readonly upTo: bigint; readonly sequence: bigint; readonly id: string | null },
  after: { readonly size: bigint; readonly id: string } | null,
  limit: number,
): Promise<readonly ArchivedCheckpoint[]> {
  const behind = after === null ? sql`true` : sql`(p.size, c.id) > (${after.size}, ${after.id}::uuid)`
  const { rows } = await db.execute<CheckpointRow>(sql`
    select c.id, c.topic, c.partition, c."offset" as asked, (extract(epoch from c.created_at) * 1000)::bigint as created_ms,
           c.created_by, p."offset", p.size, p.root_hash, p.note
      from public.checkpoint_positions p join public.checkpoints c on c.id = p.checkpoint_id
     where p.log_id = ${log} and p.size <= ${range.upTo}
       and (c.sequence <= ${range.sequence} or c.id = ${range.id}::uuid)
       and ${behind}
     order by p.size, c.id limit ${limit}`)
  return rows.map((row) => ({
    id: row.id,
    topic: row.topic,
    partition: row.partition,
    offset: row.asked,
    createdAt: Number(row.created_ms),
    createdBy: row.created_by,
    position: {
      offset: row.offset,
      size: row.size,
      rootHash: hashToHex(hashFromBytes(row.root_hash)),
      note: row.note,
    },
  }))
}
