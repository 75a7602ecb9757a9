import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { StackEnvironment } from './environment.ts'
import { projectRoot } from './paths.ts'

const limitMs = 120_000
const migrateEntry = 'src/store/migrate-cli.ts'

/** Node's arguments to run a TypeScript file of the project in a process of its own. */
export function typescriptArguments(file: string, args: readonly string[] = []): string[] {
  const loader = pathToFileURL(join(projectRoot, 'node_modules', 'tsx', 'dist', 'loader.mjs')).href
  return ['--import', loader, join(projectRoot, file), ...args]
}

/**
 * Makes the application's role and database where they are missing and brings the schema up to date.
 * @throws with what the migration said
 */
export function migrate(addresses: StackEnvironment): Promise<void> {
  if (!existsSync(join(projectRoot, migrateEntry))) return Promise.resolve()
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, typescriptArguments(migrateEntry), {
      cwd: projectRoot,
      env: { ...process.env, ...addresses },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: limitMs,
    })
    let said = ''
    const keep = (chunk: string): void => {
      said = (said + chunk).slice(-8_000)
    }
    child.stdout.setEncoding('utf8').on('data', keep)
    child.stderr.setEncoding('utf8').on('data', keep)
    child.once('error', reject)
    child.once('close', (code, signal) => {
      if (code === 0) resolve()
      else
        reject(
          new Error(`the schema could not be migrated (${signal ?? `exit code ${code}`}):\n${said.trim()}`),
        )
    })
  })
}
