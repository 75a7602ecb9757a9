import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { logTail, type ServerCommand, startServer } from '../../../stack/process.ts'
import type { Passage, ServerProcess } from '../contract.ts'
import type { BedSite, LastSignal } from './site.ts'

export interface ServerRecipe {
  readonly name: string
  /** Makes everything ready and says what to run; only while the server does not run. */
  launch(): Promise<ServerCommand> | ServerCommand
  /** Resolves when the server serves; rejects while it does not. Bounded by itself. */
  check(): Promise<void>
  /** Ends it in order and at once, clients or not. */
  readonly stopSignal: NodeJS.Signals
  readonly lastSignal: LastSignal
  readonly readyLimitMs: number
  readonly stopLimitMs: number
  /** Whether a server that ended while it started, with this at the end of its log, is worth another start. */
  isWorthAnotherStart?(log: string): boolean
}

const askAgainMs = 100

/** A server process of the bed, and the passage to it. */
export class BedServer implements ServerProcess {
  readonly passage: Passage
  readonly #recipe: ServerRecipe
  readonly #site: BedSite
  #child: ChildProcess | undefined
  #logFile = ''
  #starting: Promise<void> | undefined
  #isDiscarded = false

  constructor(recipe: ServerRecipe, passage: Passage, site: BedSite) {
    this.passage = passage
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

  /** When the bed closes: it does not start again. */
  async discard(): Promise<void> {
    this.#isDiscarded = true
    await this.passage.close()
    await this.end(this.#recipe.lastSignal)
    await Promise.allSettled([this.#starting])
    await this.end(this.#recipe.lastSignal)
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
    const { name, readyLimitMs, isWorthAnotherStart } = this.#recipe
    const deadlineMs = performance.now() + readyLimitMs
    for (;;) {
      if (!this.isRunning) await this.#spawn()
      const problem = await this.#untilServing(deadlineMs)
      if (problem === null) return
      const log = logTail(this.#logFile)
      const again = !this.isRunning && isWorthAnotherStart?.(log) === true && performance.now() < deadlineMs
      if (!again) {
        const { what, cause } = problem
        throw new Error(`${name} ${what}; the end of ${this.#logFile}:\n${log}`, { cause })
      }
      await sleep(askAgainMs, undefined, { signal: this.#site.signal })
    }
  }

  async #spawn(): Promise<void> {
    const command = await this.#recipe.launch()
    if (this.#isDiscarded) throw new Error(`${this.#recipe.name} is not needed any more`)
    const { child, id } = await startServer(command)
    this.#child = child
    this.#logFile = command.logFile
    this.#site.onStarted(id, this.#recipe.lastSignal)
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

/** Starts servers that need each other. When one fails, all are gone. */
export async function startAll(servers: readonly BedServer[]): Promise<void> {
  try {
    await Promise.all(servers.map((server) => server.start()))
  } catch (error) {
    await Promise.all(servers.map((server) => server.discard()))
    throw error
  }
}
