/** What checkpoints say of a log, and whether their notes are good. */
import type { Pool } from 'pg'
import { checkpointOf } from '../../domain/evidence/checkpointNote.ts'
import { type KeyPeriod, keysSigningAt } from '../../domain/evidence/keyPeriods.ts'
import type { LogOrigin } from '../../domain/evidence/origin.ts'
import { openStoredNote } from '../../domain/evidence/storedNote.ts'
import type { LogId } from '../../domain/model.ts'
import type { CheckpointRow } from '../../domain/verification/stored.ts'
import { hashOf } from './auditRows.ts'

/** Of the installation, asked for when a checkpoint is met. */
export type KeyPeriods = () => Promise<readonly KeyPeriod[]>

interface PositionRow {
  readonly checkpoint_id: string
  readonly offset: string
  readonly size: string
  readonly root_hash: Buffer
  readonly note: string | null
  /** Null when the checkpoint's own row is gone. */
  readonly created_ms: string | null
  readonly topic: string
  readonly partition: number
  readonly topic_id: string
  readonly incarnation: number
}

const positionsText = `
  select p.checkpoint_id, p."offset", p.size, p.root_hash, p.note, l.topic, l.partition, l.topic_id, l.incarnation,
         (extract(epoch from c.created_at) * 1000)::bigint as created_ms
    from public.partition_logs l
    join public.checkpoint_positions p on p.log_id = l.id
    left join public.checkpoints c on c.id = p.checkpoint_id
   where l.id = $1`

/** Of sizes in (above, upTo], by size. */
export async function checkpointsBetween(
  pool: Pool,
  id: LogId,
  above: bigint,
  upTo: bigint,
  periods: KeyPeriods,
): Promise<readonly CheckpointRow[]> {
  const { rows } = await pool.query<PositionRow>({
    name: 'audit-checkpoints',
    text: `${positionsText} and p.size > $2 and p.size <= $3 order by p.size`,
    values: [id, above.toString(), upTo.toString()],
  })
  return await judged(rows, periods)
}

/** Over more leaves than the log has. */
export async function largerCheckpoints(
  pool: Pool,
  id: LogId,
  limit: number,
  periods: KeyPeriods,
): Promise<readonly CheckpointRow[]> {
  const text = `${positionsText} and p.size > l.size order by p.size limit ${limit}`
  return await judged((await pool.query<PositionRow>(text, [id])).rows, periods)
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
  return await judged((await pool.query<PositionRow>(text, [id])).rows, periods)
}

async function judged(rows: readonly PositionRow[], periods: KeyPeriods): Promise<readonly CheckpointRow[]> {
  if (rows.length === 0) return []
  const known = await periods()
  return rows.map((row) => ({
    checkpointId: row.checkpoint_id,
    offset: BigInt(row.offset),
    size: BigInt(row.size),
    rootHash: hashOf(row.root_hash),
    noteFlaw: noteFlaw(row, known),
  }))
}

function noteFlaw(row: PositionRow, periods: readonly KeyPeriod[]): string | null {
  if (row.created_ms === null) return 'has lost its own row'
  const signedAtMs = Number(row.created_ms)
  const { note } = row
  if (note === null) {
    const signing = keysSigningAt(periods, signedAtMs)
    return signing.length === 0
      ? null
      : 'carries no signature, though it was made when all of them were signed'
  }
  const { topic, partition, topic_id: topicId, incarnation } = row
  const log: Omit<LogOrigin, 'instance'> = { topic, partition, topicId, incarnation }
  const [size, root] = [BigInt(row.size), hashOf(row.root_hash)]
  const said = checkpointOf(note)
  if (!said.ok || said.value.size !== size || said.value.root !== root)
    return 'has a signed note that says otherwise'
  const opened = openStoredNote({ note, log, size, root, signedAtMs }, periods)
  return opened.ok ? null : `has a note that is not good: ${opened.detail}`
}
