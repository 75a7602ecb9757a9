/** Keys of signed notes as text (C2SP signed-note, "Verifier keys"; the private form is golang.org/x/mod/sumdb/note's). */
import { hashToBytes, sha256 } from '../hash.ts'
import { decodeBase64 } from './base64.ts'
import { KEY_BYTES, keyPairOf, verifyWith } from './ed25519.ts'
import { type Finding, holds, malformed } from './finding.ts'

/** Signature type byte of Ed25519; the others that C2SP assigns are not for logs of ours. */
const ED25519 = 0x01

/** How the text of a private key begins. */
const PRIVATE_MARK = 'PRIVATE+KEY+'

/** A key that signs notes, as others know it: name and id together say which key a signature line means. */
export interface VerifierKey {
  readonly name: string
  /** 8 lower-case hex digits. */
  readonly keyId: string
  /** 32 bytes. */
  readonly publicKey: Buffer
  /** `<name>+<key id>+<base64>`, as it is published. */
  readonly text: string
  readonly verify: (message: Buffer, signature: Buffer) => boolean
}

export interface SigningKey {
  readonly verifierKey: VerifierKey
  readonly sign: (message: Buffer) => Buffer
}

/** Not empty, neither Unicode white space nor plus, nor what a note cannot hold: control characters, lone surrogates. */
export const isKeyName = (name: string): boolean =>
  name.isWellFormed() && /^[\u0021-\u{10ffff}]+$/u.test(name) && !/[\p{White_Space}+]/u.test(name)

/** Hex of the first four bytes of SHA-256(name ‖ 0x0A ‖ type ‖ public key). */
export function keyIdOf(name: string, typedKey: Buffer): string {
  const hash = sha256(Buffer.concat([Buffer.from(`${name}\n`, 'utf8'), typedKey]))
  return hashToBytes(hash).toString('hex', 0, 4)
}

/** Throws RangeError for a name or key that no note could carry. */
export function verifierKey(name: string, publicKey: Buffer): VerifierKey {
  if (!isKeyName(name)) throw new RangeError('this cannot be the name of a key')
  const typedKey = Buffer.concat([Buffer.from([ED25519]), publicKey])
  const keyId = keyIdOf(name, typedKey)
  return {
    name,
    keyId,
    publicKey,
    text: `${name}+${keyId}+${typedKey.toString('base64')}`,
    verify: verifyWith(publicKey),
  }
}

/** The private key as text, for a file or an environment variable. Throws RangeError as `verifierKey` does. */
export function formatSigningKey(name: string, seed: Buffer): string {
  const { keyId } = verifierKey(name, keyPairOf(seed).publicKey)
  const typedSeed = Buffer.concat([Buffer.from([ED25519]), seed])
  return `PRIVATE+KEY+${name}+${keyId}+${typedSeed.toString('base64')}`
}

/** Reads `<name>+<key id>+<base64>`. */
export function parseVerifierKey(text: string): Finding<VerifierKey> {
  // It must get no further, and whoever holds it must learn that it is not to be handed out.
  if (text.startsWith(PRIVATE_MARK))
    return malformed('this is a private key, which nobody else may have: give its verifier key instead')
  const parts = partsOf(text)
  if (parts === null)
    return malformed('a verifier key looks like <name>+<8 hex digits>+<base64>, and this does not')
  if (parts.type !== ED25519)
    return malformed(`the verifier key ${parts.name}+${parts.keyId} is not an Ed25519 key for notes (0x01)`)
  if (parts.key.length !== KEY_BYTES)
    return malformed(`the verifier key ${parts.name}+${parts.keyId} does not have ${KEY_BYTES} bytes`)
  const key = verifierKey(parts.name, parts.key)
  return key.keyId === parts.keyId
    ? holds(key)
    : malformed(`the verifier key of ${parts.name} has the id ${key.keyId}, not ${parts.keyId}`)
}

/** Reads `PRIVATE+KEY+<name>+<key id>+<base64>`. No detail holds any part of the private key. */
export function parseSigningKey(text: string): Finding<SigningKey> {
  const parts = text.startsWith(PRIVATE_MARK) ? partsOf(text.slice(PRIVATE_MARK.length)) : null
  if (parts === null || parts.type !== ED25519 || parts.key.length !== KEY_BYTES)
    return malformed('a private key looks like PRIVATE+KEY+<name>+<8 hex digits>+<base64>, and this does not')
  const pair = keyPairOf(parts.key)
  const key = verifierKey(parts.name, pair.publicKey)
  return key.keyId === parts.keyId
    ? holds({ verifierKey: key, sign: pair.sign })
    : malformed('the private key does not belong to the key id beside it')
}

interface KeyParts {
  readonly name: string
  readonly keyId: string
  readonly type: number | undefined
  readonly key: Buffer
}

function partsOf(text: string): KeyParts | null {
  const [, name = '', keyId = '', encoded = ''] = /^([^+]+)\+([0-9a-f]{8})\+(.+)$/s.exec(text) ?? []
  const bytes = decodeBase64(encoded)
  if (!isKeyName(name) || bytes === null || bytes.length === 0) return null
  return { name, keyId, type: bytes[0], key: bytes.subarray(1) }
}

/** Most keys that one list may hold: far more than an instance ever had. */
const MAX_KEYS = 1_000

/** Verifier keys, one a line; empty lines and lines that begin with `#` say nothing. */
export function parseKeyList(text: string): Finding<readonly VerifierKey[]> {
  const lines = text.split('\n').map((line) => line.trim())
  const given = lines.filter((line) => line !== '' && !line.startsWith('#'))
  if (given.length > MAX_KEYS) return malformed(`a list of keys has at most ${MAX_KEYS} of them`)
  const keys: VerifierKey[] = []
  for (const line of given) {
    const key = parseVerifierKey(line)
    if (!key.ok) return key
    keys.push(key.value)
  }
  return holds(keys)
}

/**
 * Keys from several sources, each once. Two keys of one name and id cannot be told apart in a note (golang.org/x/mod calls the
 * verifier ambiguous): somebody made one for the other's place, and none of them is to be believed before that is cleared up.
 */
export function distinctKeys(given: readonly VerifierKey[]): Finding<readonly VerifierKey[]> {
  const keys = new Map<string, VerifierKey>()
  for (const key of given) {
    const mark = `${key.name}+${key.keyId}`
    const other = keys.get(mark)
    if (other !== undefined && other.text !== key.text)
      return malformed(`two different keys are called ${mark}: no signature tells which of them made it`)
    keys.set(mark, key)
  }
  return holds([...keys.values()])
}
