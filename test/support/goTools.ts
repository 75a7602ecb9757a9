/** Servers and tools that others wrote in Go, built once for each version from modules that are pinned beside this file. */
import { execFile, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, statSync } from 'node:fs'
import { rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { sharedCacheDirectory } from '../../stack/paths.ts'

const BUILD_MS = 580_000

export interface GoTool {
  /** Holds go.mod and go.sum. */
  readonly folder: string
  /** Of the program. */
  readonly name: string
  /** Of the package that it is built from. */
  readonly path: string
}

/** Why it cannot be built here, for a person; null when it can. */
export function goToolMissing({ folder }: Pick<GoTool, 'folder'>): string | null {
  const run = spawnSync('go', ['env', 'GOVERSION'], { encoding: 'utf8', cwd: '/' })
  if (run.error !== undefined || run.status !== 0) return 'there is no Go toolchain'
  const needed = versionOf(/^go (\S+)/m.exec(readFileSync(join(folder, 'go.mod'), 'utf8'))?.[1])
  const found = versionOf(/^go(\S+)/.exec(run.stdout)?.[1])
  const differs = found.findIndex((part, index) => part !== needed[index])
  const isOlder = differs >= 0 && (found[differs] ?? 0) < (needed[differs] ?? 0)
  return isOlder ? `the Go toolchain is ${found.join('.')}, and ${needed.join('.')} is needed` : null
}

const versionOf = (text = ''): number[] => [0, 1, 2].map((index) => Number(text.split('.')[index] ?? 0) || 0)

/** The program, built when this version of it is not there yet. Several processes may ask at once. */
export async function buildGoTool({ folder, name, path }: GoTool): Promise<string> {
  const key = createHash('sha256')
    .update(readFileSync(join(folder, 'go.sum')))
    .digest('hex')
    .slice(0, 12)
  const cache = join(sharedCacheDirectory(), 'go', key)
  const program = join(cache, name)
  if (existsSync(program)) return program
  mkdirSync(cache, { recursive: true })
  // Test files run side by side: one builds, which takes all cores, and the others wait.
  const lock = `${program}.lock`
  while (!(await lockedBy(lock))) {
    if (existsSync(program)) return program
    await sleep(250)
  }
  try {
    if (!existsSync(program)) await build(folder, path, program)
  } finally {
    await rm(lock, { force: true })
  }
  return program
}

/** False while somebody else builds; who died while he did is not waited for. */
async function lockedBy(lock: string): Promise<boolean> {
  try {
    await writeFile(lock, '', { flag: 'wx' })
    return true
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
    const since = statSync(lock, { throwIfNoEntry: false })?.mtimeMs
    if (since !== undefined && Date.now() - since > BUILD_MS) await rm(lock, { force: true })
    return false
  }
}

async function build(folder: string, path: string, program: string): Promise<void> {
  const draft = `${program}.${process.pid}`
  const args = ['build', '-buildvcs=false', '-mod=readonly', '-o', draft, path]
  await promisify(execFile)('go', args, { cwd: folder, timeout: BUILD_MS })
  await rename(draft, program)
}
