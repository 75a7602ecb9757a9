import { defineConfig } from 'drizzle-kit'

/** For `pnpm db:generate`: writes the next numbered migration from drizzle/schema.ts. Needs no database. */
export default defineConfig({
  dialect: 'postgresql',
  schema: './drizzle/schema.ts',
  out: './drizzle',
})
