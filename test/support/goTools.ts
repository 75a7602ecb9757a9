/** Servers and tools that others wrote in Go, built once for each version from modules that are pinned beside this file. */
import { execFile, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { rename } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { sharedCacheDirectory } from '../../stack/paths.ts'

const BUILD_MS = 580_000

/** Why they cannot be built here, for a person; null when they can. `folder` holds the go.mod. */
export function goToolMissing(folder: string): string | null {
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
export async function buildGoTool(folder: string, name: string, path: string): Promise<string> {
  const key = createHash('sha256')
    .update(readFileSync(join(folder, 'go.sum')))
    .digest('hex')
    .slice(0, 12)
  const cache = join(sharedCacheDirectory(), 'go', key)
  const program = join(cache, name)
  if (existsSync(program)) return program
  mkdirSync(cache, { recursive: true })
  const draft = `${program}.${process.pid}`
  const args = ['build', '-buildvcs=false', '-mod=readonly', '-o', draft, path]
  await promisify(execFile)('go', args, { cwd: folder, timeout: BUILD_MS })
  await rename(draft, program)
  return program
}
