import type { Offset } from '../domain/model.ts'
import type { Logger } from '../logger.ts'

/** How often the group offset follows the log. Lag tools look every few seconds; each commit is a request. */
const intervalMs = 500

/**
 * Keeps Kafka's group offset near the log's next offset so that ordinary lag tools show the truth. Only a mirror: it
 * moves after the commit in PostgreSQL and is never read as a position, so a failed commit costs nothing.
 */
export class GroupOffsetMirror {
  readonly #commit: (next: Offset) => Promise<void>
  readonly #log: Logger
  #pending: Offset | null = null
  #timer: NodeJS.Timeout | null = null

  constructor(commit: (next: Offset) => Promise<void>, log: Logger) {
    this.#commit = commit
    this.#log = log
  }

  moveTo(next: Offset): void {
    this.#pending = next
    this.#timer ??= setTimeout(() => void this.flush(), intervalMs).unref()
  }

  async flush(): Promise<void> {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    const next = this.#pending
    this.#pending = null
    if (next === null) return
    try {
      await this.#commit(next)
    } catch (error) {
      this.#log.debug('the group offset was not committed; the next commit will bring it up', { error })
    }
  }
}
