/** Ed25519 (RFC 8032) through node:crypto, with keys as their raw 32 bytes. Deterministic: no random number is drawn. */
import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto'

/** Bytes of a public key, and of the seed that a private key is made from. */
export const KEY_BYTES = 32
export const SIGNATURE_BYTES = 64

/** What stands before the raw bytes in the DER forms of RFC 8410: PKCS#8 and SubjectPublicKeyInfo. */
const PRIVATE_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex')
const PUBLIC_PREFIX = Buffer.from('302a300506032b6570032100', 'hex')

export type Verify = (message: Buffer, signature: Buffer) => boolean

/** Throws RangeError unless the key has 32 bytes. Bytes that are no point on the curve verify nothing. */
export function verifyWith(publicKey: Buffer): Verify {
  const key = createPublicKey({
    key: Buffer.concat([PUBLIC_PREFIX, checkLength(publicKey)]),
    format: 'der',
    type: 'spki',
  })
  return (message, signature) => signature.length === SIGNATURE_BYTES && verify(null, message, key, signature)
}

export interface KeyPair {
  readonly publicKey: Buffer
  readonly sign: (message: Buffer) => Buffer
}

/** Throws RangeError unless the seed has 32 bytes. The seed stays inside: no part of what is returned shows it. */
export function keyPairOf(seed: Buffer): KeyPair {
  const key = createPrivateKey({
    key: Buffer.concat([PRIVATE_PREFIX, checkLength(seed)]),
    format: 'der',
    type: 'pkcs8',
  })
  return { publicKey: publicKeyOf(key), sign: (message) => sign(null, message, key) }
}

const publicKeyOf = (key: KeyObject): Buffer =>
  createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(PUBLIC_PREFIX.length)

function checkLength(bytes: Buffer): Buffer {
  if (bytes.length !== KEY_BYTES) throw new RangeError(`an Ed25519 key has ${KEY_BYTES} bytes`)
  return bytes
}
