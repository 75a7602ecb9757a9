import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { getTableColumns, getTableName } from 'drizzle-orm'
import { expect, test } from 'vitest'
import * as schema from '../../drizzle/schema.ts'
import { createDatabase } from '../../src/store/database.ts'
import { createStore } from '../../src/store/store.ts'
import { createTestDatabase, withClient } from '../support/database.ts'
import { useStore } from './fixture.ts'
import { dumpSchema } from './schemaDump.ts'

const fixture = useStore('schema')

test('the migrations make the schema that drizzle/schema.sql shows', async () => {
  const dump = await withClient(fixture.database.adminUrl, dumpSchema)
  await expect(dump).toMatchFileSnapshot(fileURLToPath(new URL('../../drizzle/schema.sql', import.meta.url)))
})

test("Drizzle's tables have the columns that the migrations make", async () => {
  for (const table of Object.values(schema)) {
    const { rows } = await withClient(fixture.database.adminUrl, (client) =>
      client.query(
        `select attname as name, attnotnull as required from pg_attribute
          where attrelid = $1::regclass and attnum > 0 order by attnum`,
        [getTableName(table)],
      ),
    )
    const columns = Object.values(getTableColumns(table)).map((column) => ({
      name: column.name,
      required: column.notNull,
    }))
    expect(columns, getTableName(table)).toEqual(rows)
  }
})

test('the probe tells a ready schema from a missing and from an older one', async () => {
  expect(await fixture.store.schema.check()).toBe('ready')
  await withClient(fixture.database.adminUrl, (client) =>
    client.query('update drizzle.__drizzle_migrations set created_at = created_at - 1'),
  )
  expect(await fixture.store.schema.check()).toBe('outdated')
  await withClient(fixture.database.adminUrl, (client) => client.query('drop schema drizzle cascade'))
  expect(await fixture.store.schema.check()).toBe('missing')
  const elsewhere = new URL(fixture.database.appUrl)
  elsewhere.pathname = '/no_such_database'
  const database = createDatabase({ url: elsewhere.href })
  expect(await createStore(database).schema.check()).toBe('missing')
  await database.close()
})

test('the examples of docs/schema.md run, and every column that it promises is there', async () => {
  const text = await readFile(new URL('../../docs/schema.md', import.meta.url), 'utf8')
  const database = await createTestDatabase('store_docs')
  await withClient(database.adminUrl, async (client) => {
    const examples = [...text.matchAll(/```sql\n([\s\S]*?)```/g)].map((match) => match[1] ?? '')
    expect(examples).toHaveLength(2)
    for (const example of examples) await client.query(example)
    // The interface of the design, as auditors spell it.
    for (const query of [
      'select id, topic, partition, topic_id, next_offset, size from partition_logs',
      `select log_id, "offset", leaf_index, id, type, source, tenant_id, key, value, headers, content_hash, leaf_hash,
              ingested_at from events`,
      'select log_id, "offset", leaf_index, code, detail, key, value, headers from dead_letters',
      'select log_id, from_offset, to_offset from gaps',
      'select id from checkpoints',
    ])
      await client.query(query)
  })
  await database.drop()
})
