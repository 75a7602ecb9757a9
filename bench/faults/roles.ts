import { logTail } from '../../stack/process.ts'
import type { Role, RoleProcess } from '../run/roles.ts'
import type { RoleStart, World } from '../run/world.ts'
import type { Waiting } from './waiting.ts'

export type Environment = Readonly<Record<string, string>>

const shownLines = 12

/** The roles of one scenario. Those that nobody killed must not end by themselves. */
export class Roles {
  readonly #world: World
  readonly #env: Environment
  readonly #signal: AbortSignal
  readonly #sourceRoot: string | undefined
  readonly #alive = new Set<RoleProcess>()

  constructor(world: World, env: Environment, signal: AbortSignal, sourceRoot?: string) {
    this.#world = world
    this.#env = env
    this.#signal = signal
    this.#sourceRoot = sourceRoot
  }

  /** Starts a process and returns at once; `env` comes on top of the scenario's. */
  async start(role: Role, env: Environment = {}, options: RoleStart = {}): Promise<RoleProcess> {
    this.#signal.throwIfAborted()
    const sourceRoot = options.sourceRoot ?? this.#sourceRoot
    const started = await this.#world.startRole(role, { ...this.#env, ...env }, { ...options, sourceRoot })
    this.#alive.add(started)
    return started
  }

  /** As `start`, and waits until it is ready. */
  async startReady(role: Role, env: Environment = {}, options: RoleStart = {}): Promise<RoleProcess> {
    const started = await this.start(role, env, options)
    await started.ready(this.#signal)
    return started
  }

  /** kill -9. */
  async kill(role: RoleProcess): Promise<void> {
    this.#alive.delete(role)
    await role.kill()
  }

  /** From a tap: the signal is sent before anything else happens; the end is awaited by `kill`. */
  killNow(role: RoleProcess): void {
    this.#alive.delete(role)
    if (role.isRunning) process.kill(role.pid, 'SIGKILL')
  }

  /** SIGTERM; returns how long it took, ms. */
  async stop(role: RoleProcess): Promise<number> {
    this.#alive.delete(role)
    const startedMs = performance.now()
    await role.stop()
    return performance.now() - startedMs
  }

  async stopAll(): Promise<void> {
    await Promise.all([...this.#alive].map((role) => this.stop(role)))
  }

  /** Throws with the end of its log when a role has ended that nobody killed. */
  check(): void {
    for (const role of this.#alive) role.check()
  }

  /** The ends of the logs of those that run. */
  tails(): string {
    const files = new Set([...this.#alive].map(({ logFile }) => logFile))
    return [...files].map((file) => `── ${file}\n${logTail(file, shownLines)}`).join('\n')
  }

  /** For `until`: ends when a role does, and shows the logs when the time is up. */
  waiting(what: string, limitMs: number, everyMs?: number): Waiting {
    return {
      what,
      limitMs,
      signal: this.#signal,
      ...(everyMs !== undefined && { everyMs }),
      check: () => this.check(),
      explain: () => this.tails(),
    }
  }
}
