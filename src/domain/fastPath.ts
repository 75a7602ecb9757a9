import type { AcceptedEvent } from './model.ts'

/** Never sure yet. */
export function decodeFast(
  _bytes: Buffer,
  _start: number,
  _end: number,
  _maxDepth: number,
): AcceptedEvent | null {
  return null
}
