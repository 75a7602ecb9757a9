import type { Client } from 'pg'

/** What the catalog says about the schema, as text that does not depend on the server's version or on the day. */
const parts: readonly { readonly title: string; readonly text: string }[] = [
  {
    title: 'tables',
    text: `select format(e'table %s%s%s\\n%s', c.relname,
        coalesce(' partition by ' || pg_get_partkeydef(c.oid), ''),
        coalesce(' with (' || array_to_string(c.reloptions, ', ') || ')', ''),
        (select string_agg(format('  %s %s%s%s%s', quote_ident(a.attname), format_type(a.atttypid, a.atttypmod),
                  case when a.attnotnull then ' not null' else '' end,
                  case a.attidentity when 'a' then ' generated always as identity' else '' end,
                  coalesce(' default ' || pg_get_expr(d.adbin, d.adrelid), '')), e'\\n' order by a.attnum)
           from pg_attribute a left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
          where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped)) as line
      from pg_class c where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
      order by c.relname`,
  },
  {
    title: 'constraints',
    text: `select format('%s %s %s', conrelid::regclass, conname, pg_get_constraintdef(oid)) as line from pg_constraint
      where connamespace = 'public'::regnamespace and contype <> 'n' order by conrelid::regclass::text, conname`,
  },
  {
    title: 'indexes',
    text: `select indexdef as line from pg_indexes where schemaname = 'public' order by indexname`,
  },
  {
    title: 'triggers (A: always)',
    text: `select format('%s %s', tgenabled, pg_get_triggerdef(t.oid)) as line from pg_trigger t
      join pg_class c on c.oid = t.tgrelid
      where not tgisinternal and c.relnamespace = 'public'::regnamespace order by c.relname, tgname`,
  },
  {
    title: 'functions',
    text: `select pg_get_functiondef(oid) as line from pg_proc
      where pronamespace = 'public'::regnamespace order by proname`,
  },
  {
    title: 'rights of streaming_ingest_app',
    text: `select line from (
        select format('%s on %s', privilege_type, table_schema || '.' || table_name) as line
          from information_schema.role_table_grants where grantee = 'streaming_ingest_app'
        union all
        select format('%s (%s) on %s', privilege_type, string_agg(column_name, ', ' order by column_name), g.table_name)
          from information_schema.role_column_grants g
         where grantee = 'streaming_ingest_app' and table_schema = 'public'
           and not exists (select from information_schema.role_table_grants t
                            where t.grantee = g.grantee and t.table_schema = g.table_schema
                              and t.table_name = g.table_name and t.privilege_type = g.privilege_type)
         group by privilege_type, g.table_name
        union all
        select format('EXECUTE on %s', p.oid::regprocedure) from pg_proc p
         where p.pronamespace = 'public'::regnamespace
           and has_function_privilege('streaming_ingest_app', p.oid, 'execute')
        union all
        select format('USAGE on schema %s', nspname) from pg_namespace
         where nspname in ('public', 'drizzle') and has_schema_privilege('streaming_ingest_app', oid, 'usage')
      ) rights order by line`,
  },
]

export async function dumpSchema(client: Client): Promise<string> {
  const sections: string[] = [
    '-- What the migrations make, as the catalog shows it: here a change shows as a diff. Written by',
    '-- `vitest run test/store/schema.test.ts --update`; not run by anything.',
  ]
  for (const { title, text } of parts) {
    const { rows } = await client.query<{ line: string }>(text)
    sections.push('', `-- ${title}`, ...rows.map((row) => row.line.trimEnd()))
  }
  return `${sections.join('\n')}\n`
}
