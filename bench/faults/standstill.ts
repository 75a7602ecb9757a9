import { setTimeout as sleep } from 'node:timers/promises'
import { type LogWatch, sumOf } from './logWatch.ts'

const lookMs = 100

/** Watches logs that are under load all the while, and keeps the longest time in which they did not grow. */
export class Standstill {
  readonly #watch: LogWatch
  readonly #over = new AbortController()
  readonly #watching: Promise<void>
  #longestMs = 0

  constructor(watch: LogWatch) {
    this.#watch = watch
    this.#watching = this.#run()
    // It is awaited by `stop`.
    this.#watching.catch(() => undefined)
  }

  get longestMs(): number {
    return this.#longestMs
  }

  async stop(): Promise<void> {
    this.#over.abort()
    await this.#watching
  }

  async #run(): Promise<void> {
    let [size, grewMs] = [0, performance.now()]
    while (!this.#over.signal.aborted) {
      const sizes = await this.#watch.sizes()
      const now = sizes === null ? size : sumOf(sizes)
      this.#longestMs = Math.max(this.#longestMs, performance.now() - grewMs)
      if (now > size) [size, grewMs] = [now, performance.now()]
      await sleep(lookMs)
    }
  }
}
