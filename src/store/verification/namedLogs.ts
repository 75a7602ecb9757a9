/** Which logs there are to verify, by their names: also those of which nothing but the name can be read, or not even that. */
import type { Pool } from 'pg'
import type { GoneLog, NamedLog } from '../../domain/verification/stored.ts'

interface NameRow {
  readonly id: number
  readonly topic: string
  readonly partition: number
  readonly incarnation: number
  readonly size: string
}

const NAME = 'select id, topic, partition, incarnation, size from public.partition_logs'

const named = ({ id, topic, partition, incarnation, size }: NameRow): NamedLog => ({
  ...{ logId: id, topic, partition, incarnation },
  size: BigInt(size),
})

export const namedLogs = async (pool: Pool): Promise<readonly NamedLog[]> =>
  (await pool.query<NameRow>(`${NAME} order by id`)).rows.map(named)

export async function nameOf(pool: Pool, id: number): Promise<NamedLog | null> {
  const [row] = (await pool.query<NameRow>(`${NAME} where id = $1`, [id])).rows
  return row === undefined ? null : named(row)
}

/** All of them have an index that begins with log_id. */
const TABLES = ['checkpoint_positions', 'log_nodes', 'events', 'dead_letters', 'gaps'] as const
/** An installation that was damaged on a grand scale is damaged whether or not all is listed. */
const MAX_GONE = 100

interface GoneRow {
  readonly log_id: number
  readonly tables: string[]
  readonly checkpoint_id: string | null
  readonly topic: string | null
  readonly partition: number | null
}

/** What its first checkpoint says of it. */
const goneText = (found: string): string => `
  select g.log_id, g.tables, c.checkpoint_id, c.topic, c.partition
    from (${found}) g
    left join lateral (
      select p.checkpoint_id, c.topic, p.partition
        from public.checkpoint_positions p left join public.checkpoints c on c.id = p.checkpoint_id
       where p.log_id = g.log_id order by p.size limit 1) c on true
   order by g.log_id`

/** From one log to the next one, by the index: as many steps as there are logs. One statement, so one look at all tables. */
const walkText = (table: string): string => `
  ${table}_ids (id) as (
    (select log_id from public.${table} order by log_id limit 1)
    union all
    select (select t.log_id from public.${table} t where t.log_id > w.id order by t.log_id limit 1)
      from ${table}_ids w where w.id is not null)`

const goneLogsText = `
  with recursive ${TABLES.map(walkText).join(',')},
  ids as (${TABLES.map((table) => `select id, '${table}' as name from ${table}_ids`).join(' union all ')})
  ${goneText(`
    select id as log_id, array_agg(name order by name) as tables from ids
     where id is not null and not exists (select from public.partition_logs l where l.id = ids.id)
     group by id order by id limit ${MAX_GONE}`)}`

const goneLogText = goneText(`
  select $1::integer as log_id, array(
    ${TABLES.map((table) => `select '${table}' where exists (select from public.${table} where log_id = $1)`).join(' union all ')}
    order by 1) as tables
   where not exists (select from public.partition_logs where id = $1)`)

const gone = (row: GoneRow): GoneLog => ({
  logId: row.log_id,
  tables: row.tables,
  checkpointId: row.checkpoint_id,
  topic: row.topic,
  partition: row.partition,
})

export const goneLogs = async (pool: Pool): Promise<readonly GoneLog[]> =>
  (await pool.query<GoneRow>(goneLogsText)).rows.map(gone)

export async function goneLog(pool: Pool, id: number): Promise<GoneLog | null> {
  const [row] = (await pool.query<GoneRow>(goneLogText, [id])).rows
  return row === undefined || row.tables.length === 0 ? null : gone(row)
}
