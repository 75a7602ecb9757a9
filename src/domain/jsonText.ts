/** What must be known of a JSON text before and after it is parsed. */
import { showPath } from './rejection.ts'

const QUOTE = 0x22
const BACKSLASH = 0x5c

/**
 * True when more than `maxDepth` arrays and objects are open at once. One pass over the bytes, so that no text can
 * overflow a stack; brackets inside strings don't count. Meaningful for any bytes, valid JSON or not.
 */
export function isDeeperThan(bytes: Buffer, start: number, end: number, maxDepth: number): boolean {
  let depth = 0
  for (let at = start; at < end; at++) {
    const byte = bytes[at] as number
    if (byte === QUOTE) {
      at = endOfString(bytes, at + 1, end)
    } else if (byte >= 0x5b) {
      // '[' and '{' differ in one bit only, and so do ']' and '}'.
      const bracket = byte | 0x20
      if (bracket === 0x7b) {
        if (++depth > maxDepth) return true
      } else if (bracket === 0x7d) depth--
    }
  }
  return false
}

/** Position of the closing quote, or `end`. */
function endOfString(bytes: Buffer, from: number, end: number): number {
  let at = from
  while (at < end) {
    const byte = bytes[at] as number
    if (byte === QUOTE) return at
    at += byte === BACKSLASH ? 2 : 1
  }
  return end
}

/**
 * Where a parsed JSON value holds what JSON cannot carry on: a lone surrogate in a string or a member's name, or a
 * number beyond the range of a double (JSON.parse makes it Infinity). Null when there is nothing.
 */
export function findFlaw(value: unknown, path: readonly PropertyKey[]): string | null {
  switch (typeof value) {
    case 'string':
      return value.isWellFormed() ? null : `${showPath(path)}: holds a lone surrogate`
    case 'number':
      return Number.isFinite(value) ? null : `${showPath(path)}: the number is out of range`
    case 'object': {
      if (value === null) return null
      for (const [name, member] of Object.entries(value)) {
        if (!name.isWellFormed()) return `${showPath(path)}: a member's name holds a lone surrogate`
        const flaw = findFlaw(member, [...path, name])
        if (flaw !== null) return flaw
      }
      return null
    }
    default:
      return null
  }
}
