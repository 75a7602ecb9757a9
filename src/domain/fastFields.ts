/** Judges scanned nodes (jsonScan.ts) as the schema would, or leaves them to it. Part of the fast path. */
import { MAX_COLUMN_LENGTH, MAX_TIMESTAMP_MS } from './eventSchema.ts'
import { nameEnd, nameStart, valueEnd, valueStart } from './jsonScan.ts'
import { plainTextAt } from './textTable.ts'

const UUID_LENGTH = 36
const MAX_TIMESTAMP_DIGITS = 15
const DASH = 0x2d

const firstByte = (bytes: Buffer, node: number): number => bytes[valueStart[node] as number] as number

export const isObject = (bytes: Buffer, node: number): boolean => firstByte(bytes, node) === 0x7b
export const isArray = (bytes: Buffer, node: number): boolean => firstByte(bytes, node) === 0x5b
export const isText = (bytes: Buffer, node: number): boolean => firstByte(bytes, node) === 0x22

/** The scan is sure of finite numbers only. */
export function isNumber(bytes: Buffer, node: number): boolean {
  const byte = firstByte(bytes, node)
  return byte === DASH || (byte >= 0x30 && byte <= 0x39)
}

export const nameLength = (node: number): number => (nameEnd[node] as number) - (nameStart[node] as number)

export function isNamed(bytes: Buffer, node: number, name: Buffer): boolean {
  const from = nameStart[node] as number
  if (nameLength(node) !== name.length) return false
  for (let index = 0; index < name.length; index++) {
    if (bytes[from + index] !== name[index]) return false
  }
  return true
}

/** Printable ASCII without escapes that fits a column, perhaps empty; null for anything else. */
export function columnTextOf(bytes: Buffer, node: number): string | null {
  if (!isText(bytes, node)) return null
  const from = (valueStart[node] as number) + 1
  const to = (valueEnd[node] as number) - 1
  return to - from > MAX_COLUMN_LENGTH ? null : plainTextAt(bytes, from, to)
}

/** As `columnTextOf`, and not empty. */
export function requiredTextOf(bytes: Buffer, node: number): string | null {
  const text = columnTextOf(bytes, node)
  return text === null || text.length === 0 ? null : text
}

/** Plain digits only, so that the text is canonical too; −1 when there is anything else. */
export function timestampOf(bytes: Buffer, node: number): number {
  const from = valueStart[node] as number
  const to = valueEnd[node] as number
  if (to - from > MAX_TIMESTAMP_DIGITS) return -1
  let value = 0
  for (let at = from; at < to; at++) {
    const digit = (bytes[at] as number) - 0x30
    if (digit < 0 || digit > 9) return -1
    value = value * 10 + digit
  }
  return value > MAX_TIMESTAMP_MS ? -1 : value
}

/** Value of a hex digit in either case; 255 for other bytes. */
export const hexValue = new Uint8Array(256).fill(255)
for (let value = 0; value < 16; value++) {
  const digit = value.toString(16)
  hexValue[digit.charCodeAt(0)] = value
  hexValue[digit.toUpperCase().charCodeAt(0)] = value
}

/** The id in lower case that `uuidOf` found last, as it is hashed. */
export const lastUuid = Buffer.alloc(UUID_LENGTH)

/** RFC 9562 versions 1…8 in lower case, as zod has it; null for the nil and the max UUID and everything else. */
export function uuidOf(bytes: Buffer, node: number): string | null {
  const from = (valueStart[node] as number) + 1
  if (!isText(bytes, node) || (valueEnd[node] as number) - 1 - from !== UUID_LENGTH) return null
  for (let index = 0; index < UUID_LENGTH; index++) {
    const byte = bytes[from + index] as number
    if (index === 8 || index === 13 || index === 18 || index === 23) {
      if (byte !== DASH) return null
    } else if (hexValue[byte] === 255) return null
    // Lower case: of these characters only the letters A…F lack that bit.
    lastUuid[index] = byte | 0x20
  }
  const version = lastUuid[14] as number
  const variant = lastUuid[19] as number
  if (version < 0x31 || version > 0x38) return null
  if (variant !== 0x38 && variant !== 0x39 && variant !== 0x61 && variant !== 0x62) return null
  return lastUuid.toString('latin1')
}
