import type { Offset } from '../domain/model.ts'
import type { Logger } from '../logger.ts'

/** How often the group offset follows the log. Lag tools look every few seconds; each commit is a request. */
const intervalMs = 500
/** A commit that fails is tried again after the interval, then after twice as long and so on up to this. */
const longestPauseMs = 5_000
/** For the commit under way and the last one together. */
const closeLimitMs = 2_000

/**
 * Keeps Kafka's group offset near the log's next offset so that ordinary lag tools show the truth. Only a mirror: it
 * moves after the commit in PostgreSQL and is never read as a position, so a commit that fails costs nothing. It is tried
 * again all the same: on a topic that has gone quiet no other would follow.
 */
export class GroupOffsetMirror {
  readonly #commit: (next: Offset) => Promise<void>
  readonly #log: Logger
  #pending: Offset | null = null
  #from: Offset | null = null
  /** How often the mirror was told something else: what failed before that is not tried again. */
  #moves = 0
  #failures = 0
  #running: Promise<void> = Promise.resolve()
  #timer: NodeJS.Timeout | null = null

  constructor(commit: (next: Offset) => Promise<void>, log: Logger) {
    this.#commit = commit
    this.#log = log
  }

  /** Below this offset it does not move. */
  startAt(from: Offset | null): void {
    this.#from = from
  }

  moveTo(next: Offset): void {
    if (this.#from !== null && next < this.#from) return
    this.#moves++
    this.#await(next)
  }

  /** Commits nothing more until it is moved again: the partition is not taken here any more. */
  forget(): void {
    this.#moves++
    this.#failures = 0
    this.#take()
  }

  /** Commits what is still to be committed, once and within two seconds, and forgets it. */
  async close(): Promise<void> {
    const last = async (): Promise<void> => {
      await this.#running
      await this.#flush()
    }
    const limit = Promise.withResolvers<void>()
    const timer = setTimeout(limit.resolve, closeLimitMs)
    await Promise.race([last(), limit.promise])
    clearTimeout(timer)
    this.forget()
  }

  #await(next: Offset): void {
    this.#pending = next
    const pauseMs = Math.min(intervalMs * 2 ** this.#failures, longestPauseMs)
    this.#timer ??= setTimeout(() => void this.#flush(), pauseMs).unref()
  }

  #take(): Offset | null {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    const next = this.#pending
    this.#pending = null
    return next
  }

  async #flush(): Promise<void> {
    const next = this.#take()
    if (next === null) return
    this.#running = this.#try(next)
    await this.#running
  }

  async #try(next: Offset): Promise<void> {
    const move = this.#moves
    try {
      await this.#commit(next)
      this.#failures = 0
    } catch (error) {
      this.#log.debug('the group offset was not committed; it is tried again', { error })
      this.#failures++
      if (move === this.#moves) this.#await(next)
    }
  }
}
