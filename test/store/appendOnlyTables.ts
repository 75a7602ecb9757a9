/** Which tables are append-only: all that the catalog knows, but for those named here with the reason. */
import type { Client } from 'pg'

/** They may be updated, within what their own triggers allow; rows are never deleted from them either. */
export const mutableTables: Readonly<Record<string, string>> = {
  partition_logs: 'the head of a log moves with each append; a trigger lets it only grow',
  replays: 'a replay has a status and an end; a trigger keeps its plan',
  replay_logs: 'the mirror of a cursor moves; a trigger keeps the plan and lets it only grow',
}

export interface GuardedTable {
  readonly name: string
  /** A column that statements may set, and all of them. */
  readonly column: string
  /** What `on conflict` can name; null when no unique index is there. */
  readonly arbiter: string | null
  readonly isPartition: boolean
}

/** Every table of the schema with its partitions, in order. */
export async function appendOnlyTables(client: Client): Promise<readonly GuardedTable[]> {
  const { rows } = await client.query<GuardedTable>(
    `select c.relname as name, c.relispartition as "isPartition",
            (select quote_ident(attname) from pg_attribute
              where attrelid = c.oid and attnum > 0 and not attisdropped and attidentity = '' order by attnum limit 1) as "column",
            (select string_agg(quote_ident(a.attname), ', ' order by k.place)
               from (select indexrelid, indkey from pg_index where indrelid = c.oid and indisunique and indpred is null
                      order by indexrelid limit 1) i,
                    unnest(i.indkey::int2[]) with ordinality k (number, place)
               join pg_attribute a on a.attrelid = c.oid and a.attnum = k.number) as arbiter
       from pg_class c
      where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and c.relname <> all ($1)
      order by c.relname`,
    [Object.keys(mutableTables)],
  )
  return rows
}

/** Every way of SQL to change or to remove rows, on no row at all: a guard must not wait for one. */
export function changesOf({ name, column, arbiter }: GuardedTable): readonly string[] {
  return [
    `update ${name} set ${column} = ${column} where false`,
    `update only ${name} set ${column} = ${column} where false`,
    `delete from ${name} where false`,
    `with gone as (delete from ${name} where false returning 1) select * from gone`,
    `truncate ${name} cascade`,
    `merge into ${name} t using (select 1) s on false when matched then update set ${column} = t.${column}`,
    `merge into ${name} t using (select 1) s on false when matched then delete`,
    ...(arbiter === null
      ? []
      : [
          `insert into ${name} overriding system value select * from ${name} where false
             on conflict (${arbiter}) do update set ${column} = excluded.${column}`,
        ]),
  ]
}

/** What would take a guard away, or the table itself; only an owner may. */
export const undoingsOf = ({ name, column }: GuardedTable): readonly string[] => [
  `alter table ${name} disable trigger all`,
  `alter table ${name} disable trigger reject_change`,
  `drop trigger reject_change on ${name}`,
  `drop table ${name} cascade`,
  `alter table ${name} rename to other`,
  `alter table ${name} owner to current_user`,
  `alter table ${name} alter column ${column} drop not null`,
  `alter table ${name} drop column ${column} cascade`,
  `create rule nothing as on insert to ${name} do instead nothing`,
  `create trigger t before insert on ${name} for each row execute function suppress_redundant_updates_trigger()`,
  `alter table ${name} enable row level security`,
]
