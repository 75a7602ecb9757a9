/** What the chain of custody of an event is read from. Every statement is bounded, and answered by an index. */
import type { Pool } from 'pg'
import {
  type Bounded,
  type CustodyCheckpoint,
  type CustodyReplay,
  causationIdOf,
  type EventReference,
} from '../domain/custody.ts'
import { signersOf } from '../domain/evidence/note.ts'
import type { LeafIndex, LogId } from '../domain/model.ts'
import { type SignaturePolicy, signaturePolicies } from '../domain/producerSignature.ts'
import { type ReplayStatus, replayStatuses } from '../domain/replay.ts'
import { ServiceError } from '../errors.ts'
import type { CustodyStore, StoredEvent } from '../ports.ts'
import { isUuid } from './checkpoints.ts'
import type { Database } from './database.ts'
import { detachedDays } from './detached.ts'
import { guarded } from './failure.ts'

const MAX_REPLAYS = 50
const MAX_EFFECTS = 50
/** Values in which the id stands where a cause could be named. */
const MAX_CANDIDATES = 200
/** Events with one id: of so many logs. */
const MAX_CAUSES = 10
/** Of checkpoints over the same number of leaves the oldest is looked for among so many. */
const MAX_EQUALS = 1_000

export function createCustodyStore({ readers: pool }: Pick<Database, 'readers'>): CustodyStore {
  return {
    checkpointsOver: (id, index) =>
      guarded('looking for checkpoints over a leaf', async () => {
        const [first, newest] = await Promise.all([firstOver(pool, id, index), newestOver(pool, id, index)])
        return { first, newest }
      }),
    replaysOf: (event) => guarded('looking for replays of an event', () => replaysOf(pool, event)),
    effectsOf: (id) => guarded('looking for the effects of an event', () => effectsOf(pool, id)),
    cause: (id) => guarded('looking for the cause of an event', () => cause(pool, id)),
    detachedDays: () => guarded('looking for detached days', () => detachedDays(pool)),
    policyAt: (source, at) => guarded('looking for a signature policy', () => policyAt(pool, source, at)),
  }
}

interface CheckpointRow {
  readonly id: string
  readonly created_at: Date
  readonly created_by: string
  readonly size: string
  readonly root_hash: Buffer
  readonly note: string | null
}

const checkpointView = (row: CheckpointRow): CustodyCheckpoint => ({
  id: row.id,
  createdAt: row.created_at.toISOString(),
  createdBy: row.created_by,
  size: row.size,
  rootHash: row.root_hash.toString('hex'),
  signedBy: signersOf(row.note),
})

/** The index by size gives the smallest in the order in which they were written. */
async function firstOver(pool: Pool, id: LogId, index: LeafIndex): Promise<CustodyCheckpoint | null> {
  const { rows } = await pool.query<CheckpointRow>(
    `select c.id, c.created_at, c.created_by, p.size, p.root_hash, p.note
       from (select * from public.checkpoint_positions
              where log_id = $1 and size = (select min(size) from public.checkpoint_positions
                                             where log_id = $1 and size > $2)
              limit ${MAX_EQUALS}) p
       join public.checkpoints c on c.id = p.checkpoint_id
      order by c.sequence limit 1`,
    [id, String(index)],
  )
  return rows[0] === undefined ? null : checkpointView(rows[0])
}

/** From the newest backwards; that there is one at all, the index by size says first. */
async function newestOver(pool: Pool, id: LogId, index: LeafIndex): Promise<CustodyCheckpoint | null> {
  const { rows } = await pool.query<CheckpointRow>(
    `select c.id, c.created_at, c.created_by, p.size, p.root_hash, p.note
       from public.checkpoints c
       join lateral (select * from public.checkpoint_positions
                      where checkpoint_id = c.id and log_id = $1 and size > $2) p on true
      where c.topic = (select topic from public.partition_logs where id = $1)
        and exists (select from public.checkpoint_positions where log_id = $1 and size > $2)
      order by c.sequence desc limit 1`,
    [id, String(index)],
  )
  return rows[0] === undefined ? null : checkpointView(rows[0])
}

interface ReplayRow {
  readonly replay_id: string
  readonly status: string
  readonly target_topic: string
  readonly target_partition: number
  readonly created_by: string
  readonly created_at: Date
  readonly updated_at: Date
}

/** Whether a list of a replay's filters lets the value pass: one that is absent or empty lets all. */
const passes = (list: string, value: string): string =>
  `(coalesce(json_array_length(r.filters -> '${list}'), 0) = 0
    or exists (select from json_array_elements_text(r.filters -> '${list}') f where f = ${value}))`

/**
 * The plan says that the event was to be produced, and the mirrored cursor that it was: it is written behind each commit, at
 * the latest a second later and at the end of the replay, and never ahead of it.
 */
async function replaysOf(pool: Pool, { logId, offset, type, source, tenantId }: StoredEvent) {
  const { rows } = await pool.query<ReplayRow>(
    `select r.replay_id, r.status, r.target_topic, l.target_partition, r.created_by, r.created_at, l.updated_at
       from public.replay_logs l join public.replays r on r.plan_id = l.plan_id
      where l.log_id = $1 and l.from_offset <= $2 and l.cursor > $2
        and ${passes('eventTypes', '$3')} and ${passes('sources', '$4')} and ${passes('tenantIds', '$5')}
      order by r.sequence desc limit ${MAX_REPLAYS + 1}`,
    [logId, String(offset), type, source, tenantId],
  )
  const items = rows.slice(0, MAX_REPLAYS).map(
    (row): CustodyReplay => ({
      replayId: row.replay_id,
      status: statusOf(row.status),
      targetTopic: row.target_topic,
      targetPartition: row.target_partition,
      requestedBy: row.created_by,
      plannedAt: row.created_at.toISOString(),
      producedBy: row.updated_at.toISOString(),
    }),
  )
  return { items, more: rows.length > MAX_REPLAYS }
}

function statusOf(text: string): ReplayStatus {
  const known = replayStatuses.find((status) => status === text)
  if (known === undefined) throw new ServiceError('INTERNAL', 'A replay has an unknown status')
  return known
}

interface ReferenceRow {
  readonly id: string
  readonly type: string
  readonly source: string
  readonly topic: string
  readonly partition: number
  readonly incarnation: number
  readonly offset: string
  readonly ingested_at: Date
}

const referenceColumns = `e.id, e.type, e.source, l.topic, l.partition, l.incarnation, e."offset", e.ingested_at`

const reference = ({ ingested_at: at, ...row }: ReferenceRow): EventReference => ({
  id: row.id,
  type: row.type,
  source: row.source,
  topic: row.topic,
  partition: row.partition,
  incarnation: row.incarnation,
  offset: row.offset,
  ingestedAt: at.toISOString(),
})

/** The condition of the partitions' index by cause, word for word: else it is not used. */
const CAN_NAME_A_CAUSE = `(position('\\x636175736174696f6e4964'::bytea in value) > 0 or position('\\x5c75'::bytea in value) > 0)`

/**
 * The index gives candidates, and causation_of decides: outside, since its price would have the planner start parallel
 * workers (115 ms at 365 partitions, instead of 5).
 */
async function effectsOf(pool: Pool, id: string): Promise<Bounded<EventReference>> {
  const { rows } = await pool.query<ReferenceRow & { readonly named: boolean | null }>(
    `select ${referenceColumns}, public.causation_of(e.value) = $1 as named
       from (select * from public.events where public.causation_candidate(value) = $1 and ${CAN_NAME_A_CAUSE}
              limit ${MAX_CANDIDATES}) e
       join public.partition_logs l on l.id = e.log_id
      order by e.ingested_at, e.log_id, e."offset"`,
    [id],
  )
  const effects = rows.filter(({ named }) => named === true)
  const more = effects.length > MAX_EFFECTS || rows.length === MAX_CANDIDATES
  return { items: effects.slice(0, MAX_EFFECTS).map(reference), more }
}

/**
 * The events with the id, and what the first of them names as its own cause. No order inside: without statistics the planner
 * would walk through whole partitions in that order.
 */
async function cause(pool: Pool, id: string) {
  if (!isUuid(id)) return { events: [], causationId: null }
  const { rows } = await pool.query<ReferenceRow & { readonly value: Buffer | null }>(
    `select ${referenceColumns}, case when row_number() over (order by e.log_id, e."offset") = 1 then e.value end as value
       from (select * from public.events where id = $1 limit ${MAX_CAUSES}) e
       join public.partition_logs l on l.id = e.log_id
      order by e.log_id, e."offset"`,
    [id],
  )
  return { events: rows.map(reference), causationId: causationIn(rows[0]?.value ?? null) }
}

/** What cannot be read, verification of the log names; here the chain ends. */
function causationIn(value: Buffer | null): string | null {
  if (value === null) return null
  try {
    return causationIdOf(JSON.parse(value.toString('utf8')))
  } catch (error) {
    if (error instanceof SyntaxError) return null
    throw error
  }
}

/** Of a source without a decision before that instant: nothing of its signatures was looked at. */
async function policyAt(pool: Pool, source: string, at: Date): Promise<SignaturePolicy> {
  const { rows } = await pool.query<{ policy: string }>(
    `select policy from public.signature_policies where source = $1 and created_at <= $2 order by sequence desc limit 1`,
    [source, at],
  )
  const [row] = rows
  if (row === undefined) return 'ignore'
  return signaturePolicies.find((policy) => policy === row.policy) ?? 'require'
}
