/** What checkpoints say of a log, and whether their notes are good. */
import type { Pool } from 'pg'
import { checkpointOf } from '../../domain/evidence/checkpointNote.ts'
import { type KeyPeriod, keysSigningAt } from '../../domain/evidence/keyPeriods.ts'
import type { LogName } from '../../domain/evidence/origin.ts'
import { openStoredNote } from '../../domain/evidence/storedNote.ts'
import type { LogId } from '../../domain/model.ts'
import { type CheckpointFlaw, type CheckpointRow, CLOCK_LEAP_MS } from '../../domain/verification/stored.ts'
import { hashOf } from './auditRows.ts'

/** Of the installation, asked for when a checkpoint is met. */
export type KeyPeriods = () => Promise<readonly KeyPeriod[]>

interface PositionRow {
  readonly checkpoint_id: string
  readonly offset: string
  readonly size: string
  readonly root_hash: Buffer
  readonly note: string | null
  /** As the position has it. */
  readonly position_partition: number
  readonly created_ms: string | null
  /** Null when the checkpoint's own row is gone. */
  readonly sequence: string | null
  readonly created_by: string | null
  /** As the checkpoint was asked for; null for all partitions, and for the head. */
  readonly asked_topic: string | null
  readonly asked_partition: number | null
  readonly asked_offset: string | null
  readonly topic: string
  readonly partition: number
  readonly topic_id: string
  readonly incarnation: number
  readonly start_offset: string
  readonly next_offset: string
  readonly log_created_ms: string | null
  /** Where the first leaf lies, for a checkpoint over none. */
  readonly first_offset: string | null
  /** When the two before it and the two behind it were made, the nearest first. */
  readonly before_ms: string[]
  readonly behind_ms: string[]
}

/** Who made the checkpoints that a recovery adopts from notes: nobody knows when, so their order says nothing. */
const ADOPTED_BY = 'recovery'
/** Null for the infinities, which are no time that anything was made at. */
const MS = (column: string): string =>
  `case when isfinite(${column}) then (extract(epoch from ${column}) * 1000)::bigint end`
const neighbours = (than: '<' | '>', order: 'asc' | 'desc'): string => `array(
    select ${MS('n.created_at')} from public.checkpoints n
     where n.sequence ${than} c.sequence and n.created_by <> '${ADOPTED_BY}' and isfinite(n.created_at) order by n.sequence ${order} limit 2)`
/** Of the rows that the log counts. */
const lowest = (table: string, column: string): string => `(
    select t.${column} from public.${table} t where t.log_id = l.id and t.${column} >= l.start_offset
       and t.${column} < l.next_offset order by t.${column} limit 1)`

const positionsText = `
  select p.checkpoint_id, p."offset", p.size, p.root_hash, p.note, p.partition as position_partition,
         l.topic, l.partition, l.topic_id, l.incarnation, l.start_offset, l.next_offset,
         ${MS('l.created_at')} as log_created_ms, ${MS('c.created_at')} as created_ms, c.sequence, c.created_by,
         c.topic as asked_topic, c.partition as asked_partition, c."offset" as asked_offset,
         ${neighbours('<', 'desc')} as before_ms, ${neighbours('>', 'asc')} as behind_ms,
         case when p.size = 0 then least(${lowest('events', '"offset"')}, ${lowest('dead_letters', '"offset"')},
           ${lowest('gaps', 'from_offset')}) end as first_offset
    from public.partition_logs l
    join public.checkpoint_positions p on p.log_id = l.id
    left join public.checkpoints c on c.id = p.checkpoint_id
   where l.id = $1`

/** Of sizes in (above, upTo], by size; also of the size `above`, unless that is 0. */
export async function checkpointsBetween(
  pool: Pool,
  id: LogId,
  above: bigint,
  upTo: bigint,
  periods: KeyPeriods,
): Promise<readonly CheckpointRow[]> {
  const { rows } = await pool.query<PositionRow>({
    name: 'audit-checkpoints',
    text: `${positionsText} and p.size >= greatest($2, 1) and p.size <= $3 order by p.size`,
    values: [id, above.toString(), upTo.toString()],
  })
  return await judged(pool, rows, periods)
}

/** Over more leaves than the log has. */
export async function largerCheckpoints(
  pool: Pool,
  id: LogId,
  limit: number,
  periods: KeyPeriods,
): Promise<readonly CheckpointRow[]> {
  const text = `${positionsText} and p.size > l.size order by p.size limit ${limit}`
  return await judged(pool, (await pool.query<PositionRow>(text, [id])).rows, periods)
}

/** A topic that nobody writes to may have many. */
const MAX_EMPTY = 10_000

/** Over no leaves. */
export async function emptyCheckpoints(
  pool: Pool,
  id: LogId,
  periods: KeyPeriods,
): Promise<readonly CheckpointRow[]> {
  const text = `${positionsText} and p.size = 0 limit ${MAX_EMPTY}`
  return await judged(pool, (await pool.query<PositionRow>(text, [id])).rows, periods)
}

async function judged(
  pool: Pool,
  rows: readonly PositionRow[],
  periods: KeyPeriods,
): Promise<readonly CheckpointRow[]> {
  if (rows.length === 0) return []
  const known = await periods()
  const unsigned = known.length > 0 && rows.some(({ note }) => note === null)
  const first = unsigned ? await firstSigned(pool) : null
  return rows.map((row) => ({
    checkpointId: row.checkpoint_id,
    offset: BigInt(row.offset),
    size: BigInt(row.size),
    rootHash: hashOf(row.root_hash),
    createdMs: row.created_ms === null || isAdopted(row) ? null : Number(row.created_ms),
    flaw: flawOf(row, known, first),
  }))
}

/** A note that was adopted proves itself, by the keys of the time that is written there. */
const isAdopted = ({ created_by: by, note }: PositionRow): boolean => by === ADOPTED_BY && note !== null

interface FirstSigned {
  readonly sequence: bigint
  readonly createdMs: number
}

/** From the first checkpoint that is signed on, all must be, but for one that was on its way at that moment. */
const ON_ITS_WAY_MS = 300_000

async function firstSigned(pool: Pool): Promise<FirstSigned | null> {
  const { rows } = await pool.query<{ sequence: string; created_ms: string }>(
    `select c.sequence, ${MS('c.created_at')} as created_ms from public.checkpoints c
      where exists (select from public.checkpoint_positions p where p.checkpoint_id = c.id and p.note is not null)
      order by c.sequence limit 1`,
  )
  const [row] = rows
  return row === undefined ? null : { sequence: BigInt(row.sequence), createdMs: Number(row.created_ms) }
}

function flawOf(
  row: PositionRow,
  periods: readonly KeyPeriod[],
  first: FirstSigned | null,
): CheckpointFlaw | null {
  if (row.sequence === null) return { column: 'note', what: 'has lost its own row' }
  if (row.created_ms === null) return { column: 'created_at', what: 'was made at no time' }
  const ofNote = noteFlaw(row, periods, first)
  return ofNote === null ? columnFlaw(row) : { column: 'note', what: ofNote }
}

/** No hash covers these: each is held against what else says it. */
function columnFlaw(row: PositionRow): CheckpointFlaw | null {
  const { partition, topic, asked_partition: asked, asked_offset: askedOffset } = row
  if (row.position_partition !== partition)
    return {
      column: 'partition',
      what: `names the partition ${row.position_partition} of a log of ${partition}`,
    }
  if (row.asked_topic !== topic) return { column: 'topic', what: 'is one of another topic than its log is' }
  if (asked !== null && asked !== partition)
    return {
      column: 'partition',
      what: `was asked for the partition ${asked}, and has a log of ${partition}`,
    }
  if (askedOffset !== null && askedOffset !== row.offset)
    return { column: 'offset', what: `was asked for below the offset ${askedOffset}, and says ${row.offset}` }
  const offset = BigInt(row.offset)
  if (offset < BigInt(row.start_offset) || offset > BigInt(row.next_offset))
    return { column: 'offset', what: 'has an offset that lies outside of its log' }
  if (row.first_offset !== null && BigInt(row.first_offset) < offset)
    return { column: 'offset', what: 'has an offset that lies behind the first leaf, and covers none' }
  return timeFlaw(row)
}

/** They are made one after another: who moves the time of one, moves it among the others. */
function timeFlaw(row: PositionRow): CheckpointFlaw | null {
  if (isAdopted(row)) return null
  const at = Number(row.created_ms)
  const [before, beforeThat] = row.before_ms.map(Number)
  const [behind, behindThat] = row.behind_ms.map(Number)
  const early = before !== undefined && isAfter(before, at) && !isOutlier(before, beforeThat, at, behind)
  const late = behind !== undefined && isAfter(at, behind) && isOutlier(at, before, behind, behindThat)
  if (at >= Number(row.log_created_ms ?? 0) - CLOCK_LEAP_MS && !early && !late) return null
  return {
    column: 'created_at',
    what: 'has a time of its making that is not between those of its neighbours',
  }
}

const isAfter = (one: number, other: number): boolean => one > other + CLOCK_LEAP_MS

/** Of two that are in the wrong order, whether it was the first of them that was moved; if nothing tells, the second. */
function isOutlier(
  first: number,
  before: number | undefined,
  second: number,
  behind: number | undefined,
): boolean {
  const firstDisagrees = behind !== undefined && isAfter(first, behind)
  const secondAgrees = before === undefined || !isAfter(before, second)
  return secondAgrees && (firstDisagrees || (before !== undefined && behind === undefined))
}

function noteFlaw(row: PositionRow, periods: readonly KeyPeriod[], first: FirstSigned | null): string | null {
  const signedAtMs = Number(row.created_ms)
  const { note } = row
  if (note === null) {
    const signing = keysSigningAt(periods, signedAtMs)
    const isBefore =
      first === null ||
      BigInt(row.sequence ?? -1) < first.sequence ||
      signedAtMs > first.createdMs - ON_ITS_WAY_MS
    return signing.length === 0 && isBefore
      ? null
      : 'carries no signature, though it was made when all of them were signed'
  }
  const { topic, partition, topic_id: topicId, incarnation } = row
  const startOffset = BigInt(row.start_offset)
  const log: LogName = { topic, partition, topicId, incarnation, startOffset }
  const [size, root] = [BigInt(row.size), hashOf(row.root_hash)]
  const said = checkpointOf(note)
  if (!said.ok || said.value.size !== size || said.value.root !== root)
    return 'has a signed note that says otherwise'
  const opened = openStoredNote({ note, log, size, root, signedAtMs }, periods)
  return opened.ok ? null : `has a note that is not good: ${opened.detail}`
}
