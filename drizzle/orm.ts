/**
 * Drizzle as CommonJS, for all of the project. Node's loader takes 1.2 s and 230 MB of resident memory to link Drizzle's ES
 * modules, which import each other in circles, and 0.3 s and 30 MB to require the same version's CommonJS build.
 * (Measured on Node 24.21 with drizzle-orm 0.45.4: `node --input-type=module -e "await import('drizzle-orm/pg-core')"`.)
 */
import { createRequire } from 'node:module'

const load = createRequire(import.meta.url)
const core = load('drizzle-orm') as typeof import('drizzle-orm')
const postgres = load('drizzle-orm/node-postgres') as typeof import('drizzle-orm/node-postgres')
const migrator = load(
  'drizzle-orm/node-postgres/migrator',
) as typeof import('drizzle-orm/node-postgres/migrator')

/** For drizzle/schema.ts. */
export const pgCore = load('drizzle-orm/pg-core') as typeof import('drizzle-orm/pg-core')

export const { and, desc, eq, inArray, lt, lte, notInArray, or, sql } = core
export const { drizzle } = postgres
export const runMigrations = migrator.migrate
