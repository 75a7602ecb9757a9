import type { Frame } from '../contract.ts'
import type { Framing } from './framing.ts'

/** Frames longer than this go by unseen: nobody should keep more of them in memory. */
export const longestSeenBytes = 256 * 1024 * 1024

export interface Piece {
  readonly bytes: Buffer
  /** Null: bytes of frames that nobody looks at, not necessarily whole ones. */
  readonly frame: Frame | null
}

/**
 * Cuts what arrives in one direction into frames, or, while nobody looks, only follows where they begin: bytes go on as
 * they come then, and looking can begin with any frame.
 */
export class FrameStream {
  /** Null: bytes without frames. */
  readonly #framing: Framing | null
  #waiting: Buffer[] = []
  #waitingBytes = 0
  /** Bytes that are still to come of a frame that goes by unseen. */
  #left = 0

  constructor(framing: Framing | null) {
    this.#framing = framing
  }

  push(chunk: Buffer): void {
    this.#waiting.push(chunk)
    this.#waitingBytes += chunk.length
  }

  /**
   * What can go on next, or null when more has to arrive first. `seen`: frames are wanted whole.
   * @throws FramingError
   */
  next(seen: boolean): Piece | null {
    if (this.#waitingBytes === 0) return null
    if (this.#framing === null) return { bytes: this.#take(this.#waitingBytes), frame: null }
    if (!seen || this.#left > 0) return this.#part(this.#framing, seen)
    const length = this.#lengthOfFirst(this.#framing)
    if (length === null) return null
    if (length > longestSeenBytes) return this.#part(this.#framing, seen)
    if (this.#waitingBytes < length) return null
    const bytes = this.#take(length)
    const frame = this.#framing.frame(bytes)
    this.#framing.note(bytes, 0)
    return { bytes, frame }
  }

  /** What has arrived of a frame that will never be whole. */
  rest(): Buffer {
    return this.#take(this.#waitingBytes)
  }

  /** As much of the first chunk as belongs to frames that may go by unseen. */
  #part(framing: Framing, seen: boolean): Piece | null {
    if (this.#left === 0 && this.#lengthOfFirst(framing) === null) return null
    const chunk = this.#waiting[0] ?? Buffer.alloc(0)
    let at = 0
    while (at < chunk.length) {
      if (this.#left === 0) {
        const length = at > 0 && seen ? null : framing.lengthOf(chunk, at)
        if (length === null) break
        framing.note(chunk, at)
        this.#left = length
      }
      const step = Math.min(this.#left, chunk.length - at)
      this.#left -= step
      at += step
    }
    return { bytes: this.#take(at), frame: null }
  }

  /** The head of a frame may be spread over chunks. */
  #lengthOfFirst(framing: Framing): number | null {
    for (;;) {
      const [first, second] = this.#waiting
      if (first === undefined) return null
      const length = framing.lengthOf(first, 0)
      if (length !== null || second === undefined) return length
      this.#waiting.splice(0, 2, Buffer.concat([first, second]))
    }
  }

  #take(count: number): Buffer {
    const first = this.#waiting[0]
    if (first === undefined || first.length < count) {
      this.#waiting = [Buffer.concat(this.#waiting)]
      return this.#take(count)
    }
    if (first.length === count) this.#waiting.shift()
    else this.#waiting[0] = first.subarray(count)
    this.#waitingBytes -= count
    return first.subarray(0, count)
  }
}
