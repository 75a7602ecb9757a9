import type { LogPosition, Offset } from '../domain/model.ts'
import type { LogState, SourceBatch } from '../ports.ts'
import { emptyGroup, type Group } from './group.ts'

/**
 * One unbroken run of a log: from the position at which it was opened, through batches that join on exactly, until
 * something breaks the chain. A broken chain ends the session; whatever it still holds is dropped and fetched again.
 */
export class LaneSession {
  readonly log: LogState
  readonly #ended = new AbortController()
  readonly #queue: SourceBatch[] = []
  #queuedBytes = 0
  #wakeTaker: (() => void) | null = null
  #wakeRoom: (() => void) | null = null

  /** Where the log will be once everything handed to the writer is committed. */
  position: LogPosition
  /** Where it is, as far as is known. */
  committed: LogPosition
  /** The offset that the next fetched batch must have been asked for. */
  fetchNext: Offset
  group: Group
  leaderEpoch: number
  /** The append in flight; never rejects. */
  tail: Promise<void> = Promise.resolve()
  /** Seeks since the last batch that joined on; a second one means that something is wrong. */
  seeksInARow = 0

  constructor(log: LogState) {
    this.log = log
    this.position = log.position
    this.committed = log.position
    this.fetchNext = log.position.nextOffset
    this.leaderEpoch = log.leaderEpoch
    this.group = emptyGroup(log.position.nextOffset, log.leaderEpoch)
  }

  get signal(): AbortSignal {
    return this.#ended.signal
  }

  end(): void {
    this.#ended.abort()
    this.#queue.length = 0
    this.#queuedBytes = 0
    this.#wakeTaker?.()
    this.#wakeRoom?.()
  }

  push(batch: SourceBatch): void {
    this.#queue.push(batch)
    this.#queuedBytes += batch.bytes
    this.#wakeTaker?.()
  }

  get queuedBytes(): number {
    return this.#queuedBytes
  }

  get isIdle(): boolean {
    return this.#queue.length === 0
  }

  /** The next batch; null after `timeoutMs` without one, or when the session has ended. */
  async take(timeoutMs: number | null): Promise<SourceBatch | null> {
    if (this.#queue.length === 0 && !this.signal.aborted) {
      await new Promise<void>((resolve) => {
        const timer = timeoutMs === null ? null : setTimeout(resolve, timeoutMs)
        this.#wakeTaker = () => {
          if (timer !== null) clearTimeout(timer)
          resolve()
        }
      })
      this.#wakeTaker = null
    }
    const batch = this.#queue.shift() ?? null
    if (batch !== null) {
      this.#queuedBytes -= batch.bytes
      this.#wakeRoom?.()
    }
    return batch
  }

  /** Resolves when fewer than `maxBytes` fetched bytes wait here, or when the session has ended. */
  async room(maxBytes: number): Promise<void> {
    while (this.#queuedBytes >= maxBytes && !this.signal.aborted) {
      await new Promise<void>((resolve) => {
        this.#wakeRoom = resolve
      })
    }
    this.#wakeRoom = null
  }
}
