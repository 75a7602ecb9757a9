/**
 * Node's own methods behind `buffer.write(text, at, length, 'latin1')` and friends. Calling them directly saves the
 * look-up of the encoding on every field of every row (design §4, measured); the types leave them out.
 */
export type DirectBuffer = Buffer & {
  latin1Write(text: string, at: number, length: number): number
  utf8Write(text: string, at: number): number
  latin1Slice(start: number, end: number): string
}

export const direct = (bytes: Buffer): DirectBuffer => bytes as DirectBuffer
