/** 64-bit integers in halves of 32 bits: rows are encoded without a bigint each. */

/** Where the low half stands in memory. */
const LOW_FIRST = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1
export const LOW = LOW_FIRST ? 0 : 1
export const HIGH = 1 - LOW

/** The array's memory as halves: value `i` is at 2i + HIGH and 2i + LOW. */
export const halvesOf = (values: BigInt64Array): Int32Array =>
  new Int32Array(values.buffer, values.byteOffset, values.length * 2)

/** High half of an integer of at most 2^53. */
export const highOf = (value: number): number => Math.floor(value / 4_294_967_296)
/** Low half, as the signed 32 bits that setInt32 takes. */
export const lowOf = (value: number): number => value | 0

/** Microseconds between 1970 and 2000, where PostgreSQL's timestamps begin. */
const EPOCH_GAP_MS = 946_684_800_000

/** PostgreSQL's binary timestamptz for a time in ms since 1970. */
export function timestampHalves(ms: number): { readonly high: number; readonly low: number } {
  const micros = BigInt(ms - EPOCH_GAP_MS) * 1000n
  return { high: Number(micros >> 32n), low: Number(BigInt.asIntN(32, micros)) }
}

/** Inverse of `timestampHalves`; a fraction when the time is no whole number of milliseconds. */
export const millisecondsOf = (high: number, low: number): number =>
  (high * 4_294_967_296 + (low >>> 0)) / 1_000 + EPOCH_GAP_MS

/** Math.min for bigints, keeping their brand. */
export function smaller<T extends bigint>(a: T, b: T): T {
  if (a < b) return a
  return b
}

/** Math.max for bigints, keeping their brand. */
export function larger<T extends bigint>(a: T, b: T): T {
  if (a > b) return a
  return b
}
