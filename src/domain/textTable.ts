/**
 * Short ASCII texts that come again and again (types, sources, tenants) as one string each, found by their bytes:
 * cheaper than a new string for each event, and less for the garbage collector.
 */

const SLOTS = 2_048
const MAX_KEPT_LENGTH = 64

const texts: (string | undefined)[] = new Array<string | undefined>(SLOTS).fill(undefined)

/** The text at `[from, to)`; null when it holds anything but printable ASCII, or a backslash. */
export function plainTextAt(bytes: Buffer, from: number, to: number): string | null {
  let hash = 0x811c9dc5
  for (let at = from; at < to; at++) {
    const byte = bytes[at] as number
    if (byte < 0x20 || byte >= 0x7f || byte === 0x5c) return null
    hash = Math.imul(hash ^ byte, 0x01000193)
  }
  if (to - from > MAX_KEPT_LENGTH) return bytes.toString('latin1', from, to)
  const slot = (hash ^ (hash >>> 15)) & (SLOTS - 1)
  const known = texts[slot]
  if (known !== undefined && isTextAt(known, bytes, from, to)) return known
  const text = bytes.toString('latin1', from, to)
  texts[slot] = text
  return text
}

function isTextAt(text: string, bytes: Buffer, from: number, to: number): boolean {
  if (text.length !== to - from) return false
  for (let index = 0; index < text.length; index++) {
    if (text.charCodeAt(index) !== bytes[from + index]) return false
  }
  return true
}
