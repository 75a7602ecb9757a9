import { endianness } from 'node:os'

/**
 * A view of int64 values as pairs of 32-bit words, low word first, so that the hot loops need no BigInt objects.
 * Every platform that Node is built for is little-endian but one (s390x), which is refused here.
 */
export function wordsOf(values: BigInt64Array): Int32Array {
  if (endianness() !== 'LE') throw new Error('big-endian machines are not supported')
  return new Int32Array(values.buffer, values.byteOffset, values.length * 2)
}

/** Numbers below 2^51 in size: sums, differences and zigzag forms of two of them stay exact. */
const highLimit = 2 ** 19

/** Whether the int64 with this high word is safely a number. */
export const isSmall = (high: number): boolean => high >= -highLimit && high < highLimit

export const int64Number = (high: number, low: number): number => high * 4_294_967_296 + (low >>> 0)

/** Writes an exact integer below 2^53 in size as value `index`. */
export function putInt64(words: Int32Array, index: number, value: number): void {
  words[2 * index] = value | 0
  words[2 * index + 1] = Math.floor(value / 4_294_967_296) | 0
}
