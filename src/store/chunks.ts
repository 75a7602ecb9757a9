import { type DirectBuffer, direct } from './bufferMethods.ts'

/** Payload of one CopyData message plus its five-byte head. 64 KiB: what a socket takes at once, measured best (design §4). */
export const CHUNK_BYTES = 65_536
/** 'd' and the message's length. */
export const MESSAGE_HEAD_BYTES = 5
export const MAX_PAYLOAD_BYTES = CHUNK_BYTES - MESSAGE_HEAD_BYTES

/** One buffer of encoded rows; the payload lies in [MESSAGE_HEAD_BYTES, end). */
export interface Chunk {
  readonly bytes: DirectBuffer
  readonly view: DataView
  end: number
}

/** Used buffers, kept for the next batch: memory stays flat, and no page is touched for the first time twice. */
export class ChunkPool {
  readonly #free: Chunk[] = []
  readonly #maxFree: number

  constructor(maxFree = 512) {
    this.#maxFree = maxFree
  }

  take(): Chunk {
    const chunk = this.#free.pop()
    if (chunk !== undefined) {
      chunk.end = MESSAGE_HEAD_BYTES
      return chunk
    }
    const bytes = direct(Buffer.allocUnsafeSlow(CHUNK_BYTES))
    return { bytes, view: new DataView(bytes.buffer), end: MESSAGE_HEAD_BYTES }
  }

  /** Only what no socket holds any more. */
  give(chunks: readonly Chunk[]): void {
    for (const chunk of chunks) {
      if (this.#free.length >= this.#maxFree) return
      this.#free.push(chunk)
    }
  }
}
