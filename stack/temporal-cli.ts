import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, statSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { findExecutable, isExecutable, probeLimitMs, runCommand } from './command.ts'
import type { Site } from './native.ts'
import { projectRoot, sharedCacheDirectory } from './paths.ts'

/** Newer ones cannot be installed with `go install` (replace directives). */
const goPackage = 'github.com/temporalio/cli/cmd/temporal@v1.5.1'
const installLimitMs = 20 * 60_000

/** The Temporal CLI if it is on this machine already; null when it isn't. Installs nothing. */
export async function knownTemporal(): Promise<string | null> {
  const onPath = findExecutable('temporal', [join(homedir(), 'go', 'bin')])
  if (onPath !== null) return onPath
  const fromGo = join(await goBinaries(), 'temporal')
  if (isExecutable(fromGo)) return fromGo
  return downloadedTemporal()
}

/**
 * The Temporal CLI: from PATH, from Go's folder, as the Temporal SDK downloads it, or built with Go.
 * @throws when none of these works; the message says what to install and how
 */
export async function findTemporal(site: Site): Promise<string> {
  return (await knownTemporal()) ?? (await downloadWithSdk(site)) ?? (await installWithGo(site))
}

async function goBinaries(): Promise<string> {
  const { ok, stdout } = await runCommand('go', ['env', 'GOBIN', 'GOPATH'])
  const [bin = '', path = ''] = ok ? stdout.split('\n') : []
  return bin !== '' ? bin : join(path !== '' ? path : join(homedir(), 'go'), 'bin')
}

const downloadFolder = (): string => join(sharedCacheDirectory(), 'temporal')

function downloadedTemporal(): string | null {
  const folder = downloadFolder()
  if (!existsSync(folder)) return null
  const name = readdirSync(folder).find((entry) => isExecutable(join(folder, entry)))
  return name === undefined ? null : join(folder, name)
}

/** Lets the SDK fetch the server it tests with. Given up, without a word, when ten seconds bring nothing new. */
async function downloadWithSdk(site: Site): Promise<string | null> {
  site.progress('looking for the Temporal CLI …')
  mkdirSync(downloadFolder(), { recursive: true })
  const script = fileURLToPath(new URL('temporal-download.ts', import.meta.url))
  const child = spawn(process.execPath, [script, downloadFolder()], {
    cwd: projectRoot,
    stdio: 'ignore',
  })
  let seen = folderBytes(downloadFolder())
  const watch = setInterval(() => {
    const size = folderBytes(downloadFolder())
    if (size === seen) child.kill('SIGKILL')
    seen = size
  }, probeLimitMs)
  try {
    const worked = await new Promise<boolean>((resolve) => {
      child.once('error', () => resolve(false))
      child.once('close', (code) => resolve(code === 0))
    })
    return worked ? downloadedTemporal() : null
  } finally {
    clearInterval(watch)
  }
}

function folderBytes(folder: string): number {
  return readdirSync(folder).reduce((sum, name) => {
    const found = statSync(join(folder, name), { throwIfNoEntry: false })
    return sum + (found?.size ?? 0)
  }, 0)
}

async function installWithGo(site: Site): Promise<string> {
  const go = findExecutable('go', ['/usr/local/go/bin'])
  if (go === null) {
    const ways = `brew install temporal, or with Go: go install ${goPackage}`
    throw new Error(
      `the Temporal CLI is not installed. Temporal needs a Docker engine, or its CLI (${ways}), or a server named in TEMPORAL_ADDRESS`,
    )
  }
  site.progress('building the Temporal CLI with Go (once, about four minutes) …')
  const result = await runCommand(go, ['install', goPackage], { limitMs: installLimitMs })
  const installed = join(await goBinaries(), 'temporal')
  if (result.ok && isExecutable(installed)) return installed
  throw new Error(`go install ${goPackage} failed:\n${result.output.split('\n').slice(-15).join('\n')}`)
}
