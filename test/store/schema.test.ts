import { fileURLToPath } from 'node:url'
import { getTableColumns, getTableName } from 'drizzle-orm'
import { expect, test } from 'vitest'
import * as schema from '../../drizzle/schema.ts'
import { createDatabase } from '../../src/store/database.ts'
import { createStore } from '../../src/store/store.ts'
import { withClient } from '../support/database.ts'
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
