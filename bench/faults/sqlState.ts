import type { Frame } from './contract.ts'

/** Type and length. */
const headBytes = 5
const codeField = 0x43

/**
 * SQLSTATE of an ErrorResponse; null for every other message
 * (https://www.postgresql.org/docs/current/protocol-error-fields.html).
 */
export function sqlStateOf(frame: Frame): string | null {
  if (frame.protocol !== 'postgres' || frame.type !== 'E') return null
  const { bytes } = frame
  for (let at = headBytes; at < bytes.length && bytes[at] !== 0; ) {
    const end = bytes.indexOf(0, at + 1)
    if (end < 0) return null
    if (bytes[at] === codeField) return bytes.toString('latin1', at + 1, end)
    at = end + 1
  }
  return null
}
