import type { Frame } from '../contract.ts'

/** How one direction of a connection is cut into frames. It remembers what it needs from frame to frame. */
export interface Framing {
  /**
   * Bytes of the frame that begins at `at`; null while too little of it is there to say. Infinite: no more frames in
   * this direction. @throws FramingError for what the protocol does not allow
   */
  lengthOf(bytes: Buffer, at: number): number | null
  /** The frame as taps see it; null for the few that they don't. `bytes` is all of it. */
  frame(bytes: Buffer): Frame | null
  /** Takes note of the frame that begins at `at`. Once for each one, in order, behind `frame`. */
  note(bytes: Buffer, at: number): void
}

/** Both directions of one connection. */
export interface Conversation {
  readonly requests: Framing
  readonly answers: Framing
}

export class FramingError extends Error {
  override readonly name = 'FramingError'
}
