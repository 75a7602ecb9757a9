// The one file that runs before anything is installed: plain JavaScript, Node 20 built-ins only.
// Usage: node stack/bootstrap.mjs demo|dev|stack|test|bench|faults|soak|drill|install [arguments]
import { execFileSync, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { delimiter, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath, pathToFileURL } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const installLimitMs = 15 * 60_000

const entries = {
  demo: 'bench/demo.ts',
  dev: 'stack/dev.ts',
  stack: 'stack/cli.ts',
  test: 'stack/test.ts',
  bench: 'bench/bench.ts',
  faults: 'bench/faults.ts',
  soak: 'bench/soak.ts',
  drill: 'bench/drill.ts',
}

/** What a command line asks for: an entry to run, an installation, or a complaint for the user. */
export function readCommand(argv) {
  const [name, ...rest] = argv
  // npm passes `--` on as it is when it is given twice; nobody downstream wants it.
  const args = rest[0] === '--' ? rest.slice(1) : rest
  if (name === 'install') return { kind: 'install' }
  if (name !== undefined && Object.hasOwn(entries, name)) return { kind: 'run', entry: entries[name], args }
  const known = [...Object.keys(entries), 'install'].join('|')
  const problem = name === undefined ? 'what to run is missing' : `there is no command "${name}"`
  return { kind: 'usage', message: `${problem}: node stack/bootstrap.mjs ${known} [arguments]` }
}

/** Hash of everything that decides what gets installed. */
export function installKey(directory) {
  const hash = createHash('sha256')
  const patches = join(directory, 'patches')
  const files = ['package.json', 'pnpm-lock.yaml', 'pnpm-workspace.yaml']
  if (existsSync(patches))
    files.push(
      ...readdirSync(patches)
        .sort()
        .map((name) => join('patches', name)),
    )
  for (const file of files) {
    const path = join(directory, file)
    hash.update(`${file}\0`)
    if (existsSync(path)) hash.update(readFileSync(path))
  }
  return hash.digest('hex')
}

/** True when node_modules is absent, unfinished, or older than what the lock file asks for. */
export function needsInstall(directory) {
  const modules = join(directory, 'node_modules')
  const finished = join(modules, '.modules.yaml')
  if (!existsSync(finished) || !existsSync(join(modules, 'node', 'bin', nodeName))) return true
  const stamp = join(modules, '.installed-for')
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === installKey(directory)) return false
  return statSync(finished).mtimeMs < statSync(join(directory, 'pnpm-lock.yaml')).mtimeMs
}

const nodeName = process.platform === 'win32' ? 'node.exe' : 'node'
const say = (text) => process.stderr.write(`${text}\n`)

/** Environment of every child: the project's own commands (Node 24 among them) come first. */
function childEnvironment() {
  const path = `${join(root, 'node_modules', '.bin')}${delimiter}${process.env.PATH ?? ''}`
  return { ...process.env, PATH: path }
}

async function install() {
  if (!needsInstall(root)) return
  const release = await takeInstallLock()
  try {
    if (!needsInstall(root)) return
    const manager = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).packageManager
    if (!/^pnpm@\d+\.\d+\.\d+$/.test(manager))
      throw new Error(`packageManager must pin pnpm, not "${manager}"`)
    say(`Installing dependencies with ${manager} …`)
    const startedAt = Date.now()
    await runQuietly('npx', ['-y', manager, 'install', '--frozen-lockfile'])
    writeFileSync(join(root, 'node_modules', '.installed-for'), installKey(root))
    say(`Installed in ${Math.round((Date.now() - startedAt) / 1000)} s`)
  } finally {
    release()
  }
}

/** Two commands started at once in a fresh clone must not install into the same folder. */
async function takeInstallLock() {
  mkdirSync(join(root, '.stack'), { recursive: true })
  const path = join(root, '.stack', 'install.lock')
  const deadline = Date.now() + installLimitMs
  for (let announced = false; Date.now() < deadline; ) {
    try {
      const file = openSync(path, 'wx')
      writeSync(file, String(process.pid))
      closeSync(file)
      return () => unlinkSync(path)
    } catch (error) {
      if (error.code !== 'EEXIST') throw error
    }
    if (isAbandoned(path)) {
      unlinkSync(path)
      continue
    }
    if (!announced) say('Another command is installing; waiting for it …')
    announced = true
    await sleep(200)
  }
  throw new Error(`Another installation has held ${path} for too long: remove it when none is running`)
}

function isAbandoned(path) {
  try {
    const pid = Number(readFileSync(path, 'utf8'))
    // Between creation and the write of the pid the file is empty for a moment.
    if (!Number.isInteger(pid) || pid <= 0) return Date.now() - statSync(path).mtimeMs > 5_000
    return !exists(pid)
  } catch (error) {
    // Its holder may just have let go of it.
    if (error.code === 'ENOENT') return false
    throw error
  }
}

/** Runs a command, shows its last lines only when it fails. */
function runQuietly(command, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: root,
      // CI: pnpm must not ask anything.
      env: { ...process.env, CI: 'true', npm_config_update_notifier: 'false' },
      stdio: ['ignore', 'pipe', 'pipe'],
      shell: process.platform === 'win32',
      timeout: installLimitMs,
    })
    let tail = ''
    const keep = (chunk) => {
      tail = (tail + chunk).slice(-8_000)
    }
    child.stdout.setEncoding('utf8').on('data', keep)
    child.stderr.setEncoding('utf8').on('data', keep)
    child.on('error', reject)
    child.on('close', (code, signal) => {
      if (code === 0) return resolve()
      const reason = `${[command, ...args].join(' ')} failed (${signal ?? `exit code ${code}`})`
      reject(new Error(`${tail.trimEnd()}\n${reason}`))
    })
  })
}

/** Runs the entry on the project's own Node with tsx; resolves to its exit code. */
function run(entry, args) {
  if (!existsSync(join(root, entry))) throw new Error(`${entry} does not exist in this checkout`)
  const loader = pathToFileURL(join(root, 'node_modules', 'tsx', 'dist', 'loader.mjs')).href
  const node = join(root, 'node_modules', 'node', 'bin', nodeName)
  return new Promise((resolve, reject) => {
    const child = spawn(node, ['--import', loader, join(root, entry), ...args], {
      cwd: root,
      env: childEnvironment(),
      stdio: 'inherit',
    })
    const forward = (signal) => child.kill(signal)
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, forward)
    const orphaned = whenOrphaned(() => child.kill('SIGTERM'))
    child.on('error', reject)
    child.on('close', (code, signal) => {
      clearInterval(orphaned)
      for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.off(name, forward)
      resolve({ code, signal })
    })
  })
}

/**
 * A signal to `npm run` ends npm alone: neither npm nor the shell in between (`.bin/node` is a shell script) passes
 * it on. Under npm, an npm that is gone therefore means: stop.
 */
function whenOrphaned(stop) {
  const manager = process.env.npm_lifecycle_event === undefined ? null : packageManagerAbove(process.ppid)
  if (manager === null) return undefined
  const timer = setInterval(() => {
    if (exists(manager)) return
    clearInterval(timer)
    stop()
  }, 500)
  timer.unref()
  return timer
}

/** The npm or pnpm that runs this script: a few shells up. */
function packageManagerAbove(start) {
  for (let pid = start, level = 0; pid > 1 && level < 5; level++) {
    const found = lookUp(pid)
    if (found === null) return null
    if (/\bp?npm\b/.test(found.command.split(' ', 3).join(' '))) return pid
    pid = found.parent
  }
  return null
}

function lookUp(pid) {
  try {
    if (process.platform !== 'linux') {
      const line = execFileSync('ps', ['-o', 'ppid=,command=', '-p', String(pid)], {
        encoding: 'utf8',
      }).trim()
      return { parent: Number.parseInt(line, 10), command: line.replace(/^\d+\s+/, '') }
    }
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const [, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
    return { parent: Number(parent), command }
  } catch {
    return null
  }
}

function exists(pid) {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error.code !== 'ESRCH'
  }
}

async function main() {
  const command = readCommand(process.argv.slice(2))
  if (command.kind === 'usage') {
    say(command.message)
    process.exitCode = 2
    return
  }
  await install()
  if (command.kind === 'install') return
  const { code, signal } = await run(command.entry, command.args)
  if (signal !== null) process.kill(process.pid, signal)
  else process.exitCode = code
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  main().catch((error) => {
    say(error instanceof Error ? error.message : String(error))
    process.exitCode = 1
  })
}
