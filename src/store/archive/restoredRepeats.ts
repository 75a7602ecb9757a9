/** Repeated ids of logs that are being recovered: all logs are there by then, and one pass over the events tells. */
import type { Client } from 'pg'
import { hashToBytes } from '../../domain/hash.ts'
import { type LogId, leafIndex } from '../../domain/model.ts'
import { provenCodes } from '../../domain/verification/codeStanding.ts'
import type { LogRepeats, RestoredRepeat } from '../../ports.ts'

/** Unfounded claims of a log that are looked at more closely: each is a pass over the log's dead letters. */
const MAX_LOOKED_AT = 100

/** To be dropped with the transaction. */
export async function openRepeats(client: Client): Promise<void> {
  await client.query(`
    create temp table restored_repeats (
      log_id integer, leaf_index bigint, "offset" bigint, id uuid, is_same boolean, content_hash bytea
    ) on commit drop`)
}

export async function insertRepeats(
  client: Client,
  id: LogId,
  repeats: readonly RestoredRepeat[],
): Promise<void> {
  if (repeats.length === 0) return
  await client.query(
    `insert into restored_repeats
     select $1, * from unnest($2::bigint[], $3::bigint[], $4::uuid[], $5::boolean[], $6::bytea[])`,
    [
      id,
      repeats.map((each) => `${each.leafIndex}`),
      repeats.map((each) => `${each.offset}`),
      repeats.map((each) => each.id),
      repeats.map(({ code }) => code === 'DUPLICATE_ID'),
      repeats.map(({ contentHash }) => hashToBytes(contentHash)),
    ],
  )
}

interface Row {
  readonly topic: string
  readonly partition: number
  readonly incarnation: number
}
interface FoundedRow extends Row {
  readonly borne_out: string
}
interface ContradictedRow extends Row {
  readonly leaf_index: string
  readonly id: string
  readonly is_same: boolean
}
interface TwiceRow extends Row {
  readonly events: string
  readonly first_leaf: string
  readonly nearest: string
}

/** `+ 0` keeps the planner off the index on (log, offset): by it a log would be read for each of its ids. */
const FOUNDED = `
  create temp table founded_repeats on commit drop as
  select distinct r.log_id, r.leaf_index
    from restored_repeats r
    join public.events e on e.id = r.id and e.log_id + 0 = r.log_id and e."offset" + 0 < r."offset"
     and (e.content_hash = r.content_hash) = r.is_same`

const BORNE_OUT = `
  select l.topic, l.partition, l.incarnation, count(*) as borne_out
    from founded_repeats f join public.partition_logs l on l.id = f.log_id group by l.id`

/**
 * An earlier record may have been an event when it was archived and be none by this version's verdict: then it stands among the
 * dead letters that follow from their bytes, with the id in them.
 */
const CONTRADICTED = `
  select distinct on (l.id) l.topic, l.partition, l.incarnation, r.leaf_index, r.id, r.is_same
    from (select r.*, row_number() over (partition by r.log_id order by r.leaf_index) as number
            from restored_repeats r left join founded_repeats f using (log_id, leaf_index)
           where f.log_id is null) r
    join public.partition_logs l on l.id = r.log_id
   where r.number <= $2
     and not exists (select from public.dead_letters d
                      where d.log_id = r.log_id and d."offset" < r."offset" and d.code = any($1)
                        and (position(convert_to(r.id::text, 'UTF8') in d.value) > 0
                             or position(convert_to(upper(r.id::text), 'UTF8') in d.value) > 0))
   order by l.id, r.leaf_index`

const TWICE = `
  select l.topic, l.partition, l.incarnation, count(*) as events, min(leaf_index) as first_leaf,
         min("offset" - before) as nearest
    from (select e.log_id, e.leaf_index, e."offset",
                 lag(e."offset") over (partition by e.log_id, e.id order by e."offset") as before
            from (select log_id, id from public.events group by log_id, id having count(*) > 1) twice
            join public.events e on e.id = twice.id and e.log_id + 0 = twice.log_id) repeated
    join public.partition_logs l on l.id = log_id
   where before is not null group by l.id`

/** What the events that were restored say of the repeated ids; logs without any are left out. */
export async function judgeRepeats(client: Client): Promise<readonly LogRepeats[]> {
  // Nobody else does it for a table of this transaction.
  await client.query('analyze restored_repeats')
  await client.query(FOUNDED)
  await client.query('analyze founded_repeats')
  const founded = await client.query<FoundedRow>(BORNE_OUT)
  const contradicted = await client.query<ContradictedRow>(CONTRADICTED, [[...provenCodes], MAX_LOOKED_AT])
  const twice = await client.query<TwiceRow>(TWICE)
  const byLog = new Map<string, LogRepeats>()
  const add = ({ topic, partition, incarnation }: Row, more: Partial<LogRepeats>): void => {
    const name = `${topic}/${partition}/${incarnation}`
    const before = byLog.get(name) ?? {
      topic,
      partition,
      incarnation,
      borneOut: 0n,
      contradicted: null,
      twice: null,
    }
    byLog.set(name, { ...before, ...more })
  }
  for (const row of founded.rows) add(row, { borneOut: BigInt(row.borne_out) })
  for (const row of contradicted.rows) {
    const code = row.is_same ? 'DUPLICATE_ID' : 'ID_CONFLICT'
    add(row, { contradicted: { leafIndex: leafIndex(BigInt(row.leaf_index)), id: row.id, code } })
  }
  for (const row of twice.rows)
    add(row, {
      twice: {
        events: BigInt(row.events),
        firstLeaf: leafIndex(BigInt(row.first_leaf)),
        nearest: BigInt(row.nearest),
      },
    })
  return [...byLog.values()]
}
