import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdirSync, openSync } from 'node:fs'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { projectRoot } from '../../stack/paths.ts'
import { youngGeneration } from '../../stack/platform.ts'
import { lastingPorts } from '../../stack/ports.ts'
import { logTail } from '../../stack/process.ts'

export type Role = 'ingest' | 'worker' | 'api'

const readyLimitMs = 120_000
const graceMs = 10_000

export interface RoleOptions {
  readonly role: Role
  readonly env: Readonly<Record<string, string | undefined>>
  readonly logFile: string
  /** Tells it from other processes of the role; the role's name when left out. */
  readonly label?: string
  /** The sources that it runs; this checkout's when left out. */
  readonly sourceRoot?: string | undefined
}

/** One role of the platform as a process of its own, as in production: environment in, HTTP out. */
export class RoleProcess {
  /** Those that this process has started and not seen end. */
  static readonly #running = new Set<RoleProcess>()

  readonly role: Role
  readonly label: string
  readonly url: string
  readonly logFile: string
  readonly #child: ChildProcess

  private constructor({ role, label = role, logFile }: RoleOptions, url: string, child: ChildProcess) {
    this.role = role
    this.label = label
    this.url = url
    this.#child = child
    this.logFile = logFile
    RoleProcess.#running.add(this)
    child.once('exit', () => RoleProcess.#running.delete(this))
  }

  /** kill -9 for every one that is left, whoever started it. */
  static async killAll(): Promise<void> {
    await Promise.all([...RoleProcess.#running].map((role) => role.kill()))
  }

  /** In a process group of its own: Ctrl-C in the terminal must not end it before whoever uses it. */
  static async start(options: RoleOptions): Promise<RoleProcess> {
    const { role, env, logFile, sourceRoot = projectRoot } = options
    const [port = 0] = await lastingPorts(1)
    const portVariable = role === 'api' ? 'PORT' : 'METRICS_PORT'
    mkdirSync(dirname(logFile), { recursive: true })
    const log = openSync(logFile, 'a')
    try {
      const child = spawn(process.execPath, [youngGeneration, 'src/main.ts', role], {
        cwd: sourceRoot,
        env: { ...env, HOST: '127.0.0.1', [portVariable]: String(port) },
        stdio: ['ignore', log, log],
        detached: true,
      })
      await once(child, 'spawn')
      return new RoleProcess(options, `http://127.0.0.1:${port}`, child)
    } finally {
      closeSync(log)
    }
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null
  }

  /** Null while it runs, and when a signal ended it. */
  get exitCode(): number | null {
    return this.#child.exitCode
  }

  /** That ended it, by itself or by default: a process that has just been started takes SIGTERM so. Null while it runs. */
  get endedBy(): NodeJS.Signals | null {
    return this.#child.signalCode
  }

  /** Throws with the end of its log when the process has ended by itself. */
  check(): void {
    if (this.isRunning) return
    const how = this.#child.signalCode ?? `exit code ${this.#child.exitCode}`
    throw new Error(`the role ${this.role} ended (${how}):\n${logTail(this.logFile)}`)
  }

  /** Resolves when `GET /health/ready` says so. */
  async ready(signal: AbortSignal): Promise<void> {
    const deadline = performance.now() + readyLimitMs
    for (;;) {
      this.check()
      if (await answersReady(this.url)) return
      if (performance.now() > deadline)
        throw new Error(`the role ${this.role} did not get ready:\n${logTail(this.logFile)}`)
      await sleep(100, undefined, { signal })
    }
  }

  /** kill -9; resolves when the process is gone. */
  async kill(): Promise<void> {
    if (!this.isRunning) return
    const gone = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await gone
  }

  /** SIGSTOP: it holds what it holds and does nothing, until `thaw`. */
  freeze(): void {
    this.#child.kill('SIGSTOP')
  }

  thaw(): void {
    this.#child.kill('SIGCONT')
  }

  /** SIGTERM, and SIGKILL for what does not end in time. */
  async stop(): Promise<void> {
    if (!this.isRunning) return
    const gone = once(this.#child, 'exit')
    this.#child.kill('SIGTERM')
    this.thaw()
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), graceMs)
    await gone
    clearTimeout(timer)
  }

  /** Leaves it running after this process. */
  leave(): void {
    this.#child.unref()
  }
}

async function answersReady(url: string): Promise<boolean> {
  try {
    const response = await fetch(`${url}/health/ready`, { signal: AbortSignal.timeout(2_000) })
    await response.arrayBuffer()
    return response.ok
  } catch {
    return false
  }
}
