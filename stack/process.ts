import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, renameSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/** A process as it can be recognised later: a pid alone may belong to somebody else by then. */
export interface ProcessId {
  readonly pid: number
  /** When it started, in whatever form the system tells it. */
  readonly started: string
}

/** When the process started (on Linux: boot id and clock ticks), or null when there is none. */
export function startOf(pid: number): string | null {
  if (!Number.isInteger(pid) || pid <= 0) return null
  if (process.platform === 'linux') return startOnLinux(pid)
  try {
    return execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], {
      encoding: 'utf8',
      timeout: 10_000,
    }).trim()
  } catch {
    return null
  }
}

function startOnLinux(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The command name, in parentheses, may hold anything; what follows the last one is regular (proc(5)).
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    if (fields[0] === 'Z' || fields[0] === 'X') return null
    return `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()}/${fields[19]}`
  } catch {
    return null
  }
}

export function identify(pid: number): ProcessId | null {
  const started = startOf(pid)
  return started === null ? null : { pid, started }
}

/** True when this very process still runs: same pid, same start. */
export const isAlive = (id: ProcessId): boolean => startOf(id.pid) === id.started

export interface ServerCommand {
  readonly command: string
  readonly args: readonly string[]
  readonly logFile: string
  readonly cwd: string
  /** Run as this user; only root can. */
  readonly user?: { readonly uid: number; readonly gid: number } | undefined
  readonly env?: Readonly<Record<string, string>>
}

const maxLogBytes = 16 * 1024 * 1024

/**
 * Starts a server in a process group of its own (Ctrl-C in the terminal must not reach it before its clients),
 * with its output in the log file. It outlives this process unless stopped.
 */
export async function startServer(server: ServerCommand): Promise<{ child: ChildProcess; id: ProcessId }> {
  mkdirSync(dirname(server.logFile), { recursive: true })
  if (existsSync(server.logFile) && statSync(server.logFile).size > maxLogBytes) {
    renameSync(server.logFile, `${server.logFile}.1`)
  }
  const log = openSync(server.logFile, 'a')
  try {
    const child = spawn(server.command, server.args, {
      cwd: server.cwd,
      env: { ...serverEnvironment(), ...server.env },
      stdio: ['ignore', log, log],
      detached: true,
      ...(server.user ?? {}),
    })
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve)
      child.once('error', reject)
    })
    child.unref()
    const pid = child.pid ?? 0
    return { child, id: identify(pid) ?? { pid, started: 'ended at once' } }
  } finally {
    closeSync(log)
  }
}

/** What servers inherit: where programs are and the locale, nothing that configures the platform. */
export function serverEnvironment(): Record<string, string> {
  const kept = [
    'PATH',
    'HOME',
    'JAVA_HOME',
    'LANG',
    'TMPDIR',
    'TZ',
    'GOPATH',
    'GOPROXY',
    'GOFLAGS',
    'GOCACHE',
  ]
  const inherited = kept.flatMap((name) => {
    const value = process.env[name]
    return value === undefined ? [] : [[name, value] as const]
  })
  return Object.fromEntries(inherited)
}

/**
 * Ends a process by its id: the gentle signal, a bounded wait, then SIGKILL. Does nothing when the process is
 * gone or the pid belongs to another one by now.
 */
export async function stopProcess(id: ProcessId, signal: NodeJS.Signals, graceMs: number): Promise<void> {
  if (!signalProcess(id, signal)) return
  if (await waitUntilGone(id, graceMs)) return
  signalProcess(id, 'SIGKILL')
  if (!(await waitUntilGone(id, 5_000))) throw new Error(`process ${id.pid} does not end, even when killed`)
}

/** False when the process is gone or the pid belongs to another one by now. */
export function signalProcess(id: ProcessId, signal: NodeJS.Signals): boolean {
  if (!isAlive(id)) return false
  try {
    return process.kill(id.pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false
    throw error
  }
}

async function waitUntilGone(id: ProcessId, limitMs: number): Promise<boolean> {
  const deadline = Date.now() + limitMs
  while (isAlive(id)) {
    if (Date.now() > deadline) return false
    await sleep(25)
  }
  return true
}

/** The last lines of a log, for an error message. */
export function logTail(path: string, lines = 15): string {
  if (!existsSync(path)) return ''
  return readFileSync(path, 'utf8').trimEnd().split('\n').slice(-lines).join('\n')
}
