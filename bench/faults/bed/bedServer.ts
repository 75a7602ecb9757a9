import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { logTail, type ServerCommand, startServer } from '../../../stack/process.ts'
import type { ServerProcess } from '../contract.ts'
import type { BedSite } from './site.ts'

export interface ServerRecipe {
  readonly name: string
  /** What to run; asked before each start. */
  launch(): Promise<ServerCommand> | ServerCommand
  /** Resolves when the server serves; rejects while it does not. Bounded by itself. */
  check(): Promise<void>
  /** Ends it in order and at once, clients or not. */
  readonly stopSignal: NodeJS.Signals
  readonly readyLimitMs: number
  readonly stopLimitMs: number
  /** Whether a server that ended while it started, with this at the end of its log, is worth another start. */
  isWorthAnotherStart?(log: string): boolean
}

const askAgainMs = 100

/** A server process of the bed. */
export class BedServer implements ServerProcess {
  readonly #recipe: ServerRecipe
  readonly #site: BedSite
  #child: ChildProcess | undefined
  #starting: Promise<void> | undefined

  constructor(recipe: ServerRecipe, site: BedSite) {
    this.#recipe = recipe
    this.#site = site
  }

  get pid(): number {
    return this.#child?.pid ?? 0
  }

  get isRunning(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null
  }

  /** Calls during a start are one call. @throws with the end of the log when the server ends or takes too long */
  start(): Promise<void> {
    this.#starting ??= this.#startAndWait().finally(() => {
      this.#starting = undefined
    })
    return this.#starting
  }

  kill(): Promise<void> {
    return this.end('SIGKILL')
  }

  /** With SIGKILL when it does not end in time. */
  async stop(): Promise<void> {
    const timer = setTimeout(() => this.signal('SIGKILL'), this.#recipe.stopLimitMs)
    try {
      await this.end(this.#recipe.stopSignal)
    } finally {
      clearTimeout(timer)
    }
  }

  freeze(): void {
    this.signal('SIGSTOP')
  }

  thaw(): void {
    this.signal('SIGCONT')
  }

  /** Sends the signal, wakes a frozen process so that it hears it, and resolves when it is gone. */
  protected async end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child
    if (child === undefined || !this.isRunning) return
    const gone = once(child, 'exit')
    child.ref()
    child.kill(signal)
    this.thaw()
    await gone
  }

  protected signal(signal: NodeJS.Signals): void {
    if (this.isRunning) this.#child?.kill(signal)
  }

  async #startAndWait(): Promise<void> {
    const { name, readyLimitMs } = this.#recipe
    const deadlineMs = performance.now() + readyLimitMs
    for (;;) {
      const command = await this.#recipe.launch()
      if (!this.isRunning) await this.#spawn(command)
      const problem = await this.#untilServing(deadlineMs)
      if (problem === null) return
      const log = logTail(command.logFile)
      const again = !this.isRunning && (this.#recipe.isWorthAnotherStart?.(log) ?? false)
      if (!again || performance.now() > deadlineMs)
        throw new Error(`${name} ${problem.what}; the end of ${command.logFile}:\n${log}`, {
          cause: problem.cause,
        })
      await sleep(askAgainMs, undefined, { signal: this.#site.signal })
    }
  }

  async #spawn(command: ServerCommand): Promise<void> {
    const { child, id } = await startServer(command)
    this.#child = child
    this.#site.onStarted(id)
  }

  /** Null when it serves. */
  async #untilServing(deadlineMs: number): Promise<{ what: string; cause: unknown } | null> {
    for (;;) {
      this.#site.signal.throwIfAborted()
      try {
        await this.#recipe.check()
        return null
      } catch (cause) {
        if (!this.isRunning) return { what: 'ended while it started', cause }
        if (performance.now() > deadlineMs) return { what: 'does not serve', cause }
      }
      await sleep(askAgainMs, undefined, { signal: this.#site.signal })
    }
  }
}
