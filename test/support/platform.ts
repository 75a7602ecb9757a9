import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const root = resolve(import.meta.dirname, '../..')

export type Role = 'all' | 'ingest' | 'worker' | 'api'

/** One role of the platform as a process of its own, as in production. */
export class PlatformProcess {
  readonly #child: ChildProcess
  readonly #closed: Promise<unknown>
  #isRunning = true
  #output = ''

  /** `sources`: the folder with src and workflows; this checkout when left out. */
  constructor(role: Role, env: Readonly<Record<string, string>>, sources = root) {
    this.#child = spawn(process.execPath, ['src/main.ts', role], {
      cwd: sources,
      env: { PATH: process.env['PATH'], LOG_LEVEL: 'info', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    // Not `exit`: what it said last may come behind that.
    this.#closed = once(this.#child, 'close').then(() => {
      this.#isRunning = false
    })
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.setEncoding('utf8')
      stream?.on('data', (text: string) => {
        this.#output = (this.#output + text).slice(-200_000)
      })
    }
  }

  get output(): string {
    return this.#output
  }

  /** Until it has ended and all that it said has been read. */
  get isRunning(): boolean {
    return this.#isRunning
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name)
  }

  /** kill -9; resolves when the process is gone. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#closed
  }

  /** SIGTERM; resolves with the exit code and how long it took. */
  async stop(): Promise<{ code: number | null; tookMs: number }> {
    const started = performance.now()
    this.#child.kill('SIGTERM')
    await this.#closed
    return { code: this.#child.exitCode, tookMs: performance.now() - started }
  }

  /** Waits for text in the output; fails with the output when it does not come or the process ends. */
  async says(text: string | RegExp, timeoutMs = 45_000): Promise<RegExpMatchArray> {
    const pattern = typeof text === 'string' ? new RegExp(text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')) : text
    return until(
      () => {
        const match = this.#output.match(pattern)
        if (match === null && !this.isRunning)
          throw new Error(`ended before it said ${pattern}:\n${this.#output}`)
        return match
      },
      timeoutMs,
      () => `no ${pattern} in:\n${this.#output}`,
    )
  }
}

type Nothing = null | undefined | false | 0

/** Polls until `probe` gives something; fails with `describe` after the deadline. */
export async function until<T>(
  probe: () => Promise<T | Nothing> | T | Nothing,
  timeoutMs: number,
  describe: () => string,
): Promise<T> {
  const deadline = performance.now() + timeoutMs
  for (;;) {
    const found = await probe()
    if (found) return found
    if (performance.now() > deadline) throw new Error(`after ${timeoutMs} ms: ${describe()}`)
    await sleep(50)
  }
}
