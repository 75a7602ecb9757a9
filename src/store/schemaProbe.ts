import type { SchemaProbe } from '../ports.ts'
import type { Database } from './database.ts'
import { guarded, sqlStateOf } from './failure.ts'
import { newestMigration, readJournal } from './migrate.ts'

/**
 * Compares the newest migration applied with this version's newest. A newer schema is ready: migrations only add, and
 * an older version runs on beside a newer one while it is rolled out.
 */
export function createSchemaProbe(database: Database): SchemaProbe {
  let journal: ReturnType<typeof readJournal> | undefined
  return {
    check: () =>
      guarded('looking at the schema', async () => {
        journal ??= readJournal()
        const wanted = (await journal).at(-1)?.when ?? 0
        try {
          const newest = await newestMigration(database.readers)
          if (newest === null) return 'missing'
          return newest < wanted ? 'outdated' : 'ready'
        } catch (error) {
          // No such database; no right to the schema that holds the migrations: nobody migrated here.
          const state = sqlStateOf(error)
          if (state === '3D000' || state === '42501') return 'missing'
          throw error
        }
      }),
  }
}
