import type { Socket } from 'node:net'
import { TokenBucket } from './tokenBucket.ts'

/** What a passage does to every direction of every connection; changed while they run. */
export interface Rules {
  latencyMs: number
  jitterMs: number
  /** Null: no limit. */
  bytesPerSecond: number | null
}

/** How a direction ends: in order, or with a reset. */
export type Ending = 'end' | 'reset'

interface Queued {
  what: Buffer | Ending
  readonly dueMs: number
}

/** Bytes of one direction that wait in this process before its source is paused. */
const mostWaitingBytes = 4 * 1024 * 1024

/** The far end of one direction: writes in order, as late and as slowly as the rules say, and tells when it is full. */
export class Outlet {
  readonly #sink: Socket
  readonly #rules: Rules
  readonly #bucket = new TokenBucket()
  readonly #onWritten: (bytes: number) => void
  readonly #onRoom: () => void
  #queue: Queued[] = []
  #queuedBytes = 0
  #lastDueMs = 0
  #timer: NodeJS.Timeout | undefined

  constructor(sink: Socket, rules: Rules, onWritten: (bytes: number) => void, onRoom: () => void) {
    this.#sink = sink
    this.#rules = rules
    this.#onWritten = onWritten
    this.#onRoom = onRoom
    sink.on('drain', () => this.#pump())
  }

  get isFull(): boolean {
    return this.#queuedBytes > mostWaitingBytes || this.#sink.writableNeedDrain
  }

  write(bytes: Buffer): void {
    if (this.#goesAtOnce()) this.#send(bytes)
    else this.#enqueue(bytes)
  }

  /** Until `flush`, small writes may wait for each other. */
  gather(): void {
    this.#sink.cork()
  }

  flush(): void {
    this.#sink.uncork()
  }

  /** Behind everything that was written. */
  finish(how: Ending): void {
    if (this.#goesAtOnce()) this.#close(how)
    else this.#enqueue(how)
  }

  /** The rules have changed: what waits for nothing but its time goes by the new ones. */
  hurry(): void {
    const nowMs = performance.now()
    this.#lastDueMs = Math.min(this.#lastDueMs, nowMs)
    this.#queue = this.#queue.map(({ what, dueMs }) => ({ what, dueMs: Math.min(dueMs, nowMs) }))
    this.#pump()
  }

  /** Nothing is written any more. */
  drop(): void {
    clearTimeout(this.#timer)
    this.#queue = []
    this.#queuedBytes = 0
  }

  #goesAtOnce(): boolean {
    const { latencyMs, jitterMs, bytesPerSecond } = this.#rules
    return this.#queue.length === 0 && latencyMs + jitterMs === 0 && bytesPerSecond === null
  }

  #enqueue(what: Buffer | Ending): void {
    const { latencyMs, jitterMs } = this.#rules
    const dueMs = performance.now() + latencyMs + Math.random() * jitterMs
    this.#lastDueMs = Math.max(this.#lastDueMs, dueMs)
    this.#queue.push({ what, dueMs: this.#lastDueMs })
    if (typeof what !== 'string') this.#queuedBytes += what.length
    if (this.#queue.length === 1) this.#pump()
  }

  #pump(): void {
    clearTimeout(this.#timer)
    while (!this.#sink.writableNeedDrain) {
      const [first] = this.#queue
      if (first === undefined) break
      const waitMs = this.#move(first)
      if (waitMs > 0) {
        this.#timer = setTimeout(() => this.#pump(), Math.ceil(waitMs))
        break
      }
    }
    if (!this.isFull) this.#onRoom()
  }

  /** Moves the first of the queue on, or as much of it as may go; returns how long the rest has to wait, ms. */
  #move(first: Queued): number {
    const nowMs = performance.now()
    if (first.dueMs > nowMs) return first.dueMs - nowMs
    if (typeof first.what === 'string') {
      this.#queue.shift()
      this.#close(first.what)
      return 0
    }
    const { bytesPerSecond } = this.#rules
    const { bytes, waitMs } =
      bytesPerSecond === null
        ? { bytes: first.what.length, waitMs: 0 }
        : this.#bucket.take(first.what.length, bytesPerSecond, nowMs)
    if (bytes > 0) this.#send(first.what.subarray(0, bytes))
    this.#queuedBytes -= bytes
    if (bytes === first.what.length) this.#queue.shift()
    else first.what = first.what.subarray(bytes)
    return waitMs
  }

  #send(bytes: Buffer): void {
    if (!this.#sink.writable || bytes.length === 0) return
    this.#onWritten(bytes.length)
    this.#sink.write(bytes)
  }

  #close(how: Ending): void {
    if (how === 'end') this.#sink.end()
    else reset(this.#sink)
  }
}

/** Ends a connection with RST, whatever state it is in. */
export function reset(socket: Socket): void {
  if (socket.destroyed) return
  // One that is still being made has nobody to send it to.
  if (socket.connecting) socket.destroy()
  else socket.resetAndDestroy()
}
