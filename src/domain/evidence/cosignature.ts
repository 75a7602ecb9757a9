/**
 * Cosignatures of witnesses: C2SP tlog-cosignature.md, the Ed25519 form (`cosignature/v1`). A witness says that at a time the
 * largest checkpoint that it had seen of a log was this one, and that it follows from all it had seen before.
 */
import { decodeBase64 } from './base64.ts'
import { KEY_BYTES, keyPairOf, SIGNATURE_BYTES, verifyWith } from './ed25519.ts'
import { type Finding, holds, malformed, unverified } from './finding.ts'
import { formatNote, type Note, type NoteSignature, parseNote } from './note.ts'
import { isKeyName, keyIdOf } from './noteKeys.ts'

/** Signature type byte of `cosignature/v1`. */
const COSIGNATURE = 0x04
const TIMESTAMP_BYTES = 8
const MAX_TIMESTAMP = 2n ** 63n - 1n

/** A witness, as others know it. */
export interface WitnessKey {
  readonly name: string
  /** 8 lower-case hex digits. */
  readonly keyId: string
  /** `<name>+<key id>+<base64 of 0x04 ‖ public key>`, as it is published. */
  readonly text: string
  /** The time that it signed (seconds since 1970), when the signature over the text of the note is good; null otherwise. */
  readonly verify: (text: string, signature: Buffer) => bigint | null
}

/** What is signed: two lines before the whole text of the note. */
const messageOf = (text: string, timestamp: bigint): Buffer =>
  Buffer.from(`cosignature/v1\ntime ${timestamp}\n${text}`, 'utf8')

/** Throws RangeError for a name or key that no note could carry. */
export function witnessKey(name: string, publicKey: Buffer): WitnessKey {
  if (!isKeyName(name)) throw new RangeError('this cannot be the name of a key')
  const verify = verifyWith(publicKey)
  const typedKey = Buffer.concat([Buffer.from([COSIGNATURE]), publicKey])
  const keyId = keyIdOf(name, typedKey)
  return {
    name,
    keyId,
    text: `${name}+${keyId}+${typedKey.toString('base64')}`,
    verify(text, signature) {
      if (signature.length !== TIMESTAMP_BYTES + SIGNATURE_BYTES) return null
      const timestamp = signature.readBigUInt64BE(0)
      if (timestamp > MAX_TIMESTAMP) return null
      return verify(messageOf(text, timestamp), signature.subarray(TIMESTAMP_BYTES)) ? timestamp : null
    },
  }
}

/** Reads a witness's verifier key. */
export function parseWitnessKey(text: string): Finding<WitnessKey> {
  const [, name = '', keyId = '', encoded = ''] = /^([^+]+)\+([0-9a-f]{8})\+(.+)$/s.exec(text) ?? []
  const bytes = decodeBase64(encoded)
  if (!isKeyName(name) || bytes === null || bytes.length === 0)
    return malformed("a witness's key looks like <name>+<8 hex digits>+<base64>, and this does not")
  if (bytes[0] !== COSIGNATURE)
    return malformed('the key is not one for cosignatures with Ed25519 (type 0x04)')
  if (bytes.length !== 1 + KEY_BYTES) return malformed(`the witness's key does not have ${KEY_BYTES} bytes`)
  const key = witnessKey(name, bytes.subarray(1))
  return key.keyId === keyId
    ? holds(key)
    : malformed(`the witness's key of ${name} has the id ${key.keyId}, not ${keyId}`)
}

/** A cosignature line over the text of a note. For witnesses of tests: the service itself never is one. */
export function cosign(text: string, name: string, seed: Buffer, timestamp: bigint): NoteSignature {
  const { publicKey, sign } = keyPairOf(seed)
  const time = Buffer.alloc(TIMESTAMP_BYTES)
  time.writeBigUInt64BE(timestamp)
  const { keyId } = witnessKey(name, publicKey)
  return { name, keyId, signature: Buffer.concat([time, sign(messageOf(text, timestamp))]) }
}

export interface Cosignature {
  readonly line: NoteSignature
  readonly key: WitnessKey
  /** Seconds since 1970. */
  readonly timestamp: bigint
}

/**
 * The cosignatures of known witnesses on a note, one of each key; other lines are passed over. A bad line of a known key
 * spoils the note, as it does with signatures.
 */
export function cosignaturesOf(note: Note, keys: readonly WitnessKey[]): Finding<readonly Cosignature[]> {
  const found: Cosignature[] = []
  for (const line of note.signatures) {
    const key = keys.find(({ name, keyId }) => name === line.name && keyId === line.keyId)
    if (key === undefined || found.some((other) => other.key === key)) continue
    const timestamp = key.verify(note.text, line.signature)
    if (timestamp === null) return unverified(`the cosignature of ${key.name}+${key.keyId} is not good`)
    found.push({ line, key, timestamp })
  }
  return holds(found)
}

/**
 * What a witness answered to a note: signature lines, each with its newline. Only good ones of the witness's key count, and
 * there must be one.
 */
export function readCosignatures(
  text: string,
  lines: string,
  key: WitnessKey,
): Finding<readonly Cosignature[]> {
  const parsed = parseNote(`${text}\n${lines}`)
  if (!parsed.ok || parsed.value.text !== text) return malformed('the answer is no signature lines')
  const found = cosignaturesOf(parsed.value, [key])
  if (!found.ok || found.value.length > 0) return found
  return unverified(`the answer holds no cosignature of ${key.name}+${key.keyId}`)
}

/** The lines that witnesses answered with, as they were stored; what cannot be read is passed over. */
export const cosignatureLines = (
  stored: readonly { readonly cosignatures: string | null }[],
): readonly NoteSignature[] =>
  stored.flatMap(({ cosignatures }) => {
    const parsed = cosignatures === null ? null : parseNote(`-\n\n${cosignatures}`)
    return parsed?.ok === true ? parsed.value.signatures : []
  })

/** The note with further lines behind its own; those that it has already are left out. Throws RangeError for no note. */
export function withLines(note: string, lines: readonly NoteSignature[]): string {
  const parsed = parseNote(note)
  if (!parsed.ok) throw new RangeError(parsed.detail)
  const { text, signatures } = parsed.value
  const isThere = (line: NoteSignature) =>
    signatures.some(
      ({ name, keyId, signature }) =>
        name === line.name && keyId === line.keyId && signature.equals(line.signature),
    )
  const added = lines.filter((line) => !isThere(line))
  return added.length === 0 ? note : formatNote({ text, signatures: [...signatures, ...added] })
}
