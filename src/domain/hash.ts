import { hash as digest } from 'node:crypto'
import type { Hash } from './model.ts'

/** Bytes of a hash. */
export const HASH_BYTES = 32

/**
 * SHA-256 of bytes, or of a string's UTF-8. One call into OpenSSL and a one-byte string back: measured at half the
 * cost of a Buffer result (design §4). `binary` is Node's other name for latin1, and the one that its types know.
 */
export const sha256 = (data: string | Uint8Array): Hash => digest('sha256', data, 'binary') as Hash

/** 64 lower-case hex digits. */
export const hashToHex = (hash: Hash): string => Buffer.from(hash, 'latin1').toString('hex')

/** Inverse of `hashToHex`; upper case is admitted. Throws RangeError on anything but 64 hex digits. */
export function hashFromHex(hex: string): Hash {
  if (!/^[0-9a-fA-F]{64}$/.test(hex)) throw new RangeError('a hash has 64 hex digits')
  return Buffer.from(hex, 'hex').toString('latin1') as Hash
}

/** A new Buffer with the 32 bytes. */
export const hashToBytes = (hash: Hash): Buffer => Buffer.from(hash, 'latin1')

/** Inverse of `hashToBytes`; throws RangeError on anything but 32 bytes. */
export function hashFromBytes(bytes: Uint8Array): Hash {
  if (bytes.length !== HASH_BYTES) throw new RangeError(`a hash has 32 bytes, not ${bytes.length}`)
  return Buffer.from(bytes.buffer, bytes.byteOffset, HASH_BYTES).toString('latin1') as Hash
}

/** Writes the 32 bytes at `position`; returns the position behind them. */
export function writeHash(hash: Hash, buffer: Buffer, position: number): number {
  buffer.write(hash, position, HASH_BYTES, 'latin1')
  return position + HASH_BYTES
}
