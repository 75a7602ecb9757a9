import { cpSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { createTestDatabase } from '../support/database.ts'
import { PlatformProcess, until } from '../support/platform.ts'
import { testServers } from '../support/servers.ts'

const root = resolve(import.meta.dirname, '../..')

/** The sources of a worker whose workflows cannot be bundled. */
function brokenSources(): string {
  const folder = mkdtempSync(join(tmpdir(), 'streaming-ingest-worker-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  for (const entry of ['src', 'activities', 'workflows', 'drizzle', 'package.json'])
    cpSync(join(root, entry), join(folder, entry), { recursive: true })
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
  writeFileSync(join(folder, 'workflows', 'index.ts'), "export { nothing } from './nowhere.ts'\n")
  return folder
}

it('a worker that can never run ends, instead of being there and doing nothing', {
  timeout: 90_000,
}, async () => {
  const database = await createTestDatabase()
  onTestFinished(() => database.drop())
  const servers = testServers()
  const env = {
    KAFKA_BROKERS: servers.kafkaBrokers,
    DATABASE_URL: database.appUrl,
    TEMPORAL_ADDRESS: servers.temporalAddress,
  }
  const worker = new PlatformProcess('worker', env, brokenSources())
  onTestFinished(() => worker.kill())
  await until(
    () => !worker.isRunning,
    60_000,
    () => worker.output,
  )
  expect(worker.output).toContain('the worker cannot run')
  expect((await worker.stop()).code).toBe(1)
})
