import type { SeenRecord } from './compare.ts'

/** What Reader.java writes: 88 bytes a record, big-endian. */
export const frameBytes = 88

export interface FrameHandlers {
  /** `topic`: its position in the reader's arguments. */
  onRecord(topic: number, record: SeenRecord): void
  /** The topic was read to its end, with this many records. */
  onEnd(topic: number, records: number): void
}

/** Takes the stream apart, whatever pieces it comes in. */
export class FrameParser {
  readonly #handlers: FrameHandlers
  #rest: Buffer = Buffer.alloc(0)

  constructor(handlers: FrameHandlers) {
    this.#handlers = handlers
  }

  push(chunk: Buffer): void {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    let at = 0
    for (; at + frameBytes <= bytes.length; at += frameBytes) this.#frame(bytes, at)
    this.#rest = bytes.subarray(at)
  }

  /** Throws when the stream was cut inside a frame. */
  finish(): void {
    if (this.#rest.length > 0) throw new Error('the reader stopped in the middle of a record')
  }

  #frame(bytes: Buffer, at: number): void {
    const topic = bytes.readInt32BE(at)
    if (topic < 0) this.#handlers.onEnd(-1 - topic, Number(bytes.readBigInt64BE(at + 8)))
    else this.#record(bytes, at, topic)
  }

  #record(bytes: Buffer, at: number, topic: number): void {
    this.#handlers.onRecord(topic, {
      partition: bytes.readInt32BE(at + 4),
      offset: Number(bytes.readBigInt64BE(at + 8)),
      timestamp: bytes.readBigInt64BE(at + 16),
      key: bytes.readBigInt64BE(at + 24),
      headers: bytes.readBigInt64BE(at + 32),
      value: bytes.readBigInt64BE(at + 40),
      sourcePartition: bytes.readInt32BE(at + 48),
      sourceOffset: Number(bytes.readBigInt64BE(at + 56)),
      replay: bytes.readBigInt64BE(at + 64),
      sourceTopic: bytes.readBigInt64BE(at + 72),
      eventHash: bytes.readBigInt64BE(at + 80),
    })
  }
}
