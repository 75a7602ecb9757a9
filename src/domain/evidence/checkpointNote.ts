/** Checkpoints of logs as signed notes: C2SP tlog-checkpoint.md. */
import { HASH_BYTES, hashFromBytes, hashToBytes } from '../hash.ts'
import { MAX_TREE_SIZE } from '../merkle.ts'
import type { Hash } from '../model.ts'
import { decodeBase64 } from './base64.ts'
import { type Cosignature, cosignaturesOf, type WitnessKey } from './cosignature.ts'
import { type Finding, holds, malformed, unverified } from './finding.ts'
import { type OpenedNote, openNote, parseNote, signNote } from './note.ts'
import type { SigningKey, VerifierKey } from './noteKeys.ts'
import { isAnsweredBy } from './origin.ts'

/** "The log of this origin has, at this size, this root." */
export interface CheckpointBody {
  readonly origin: string
  /** Leaves, at most 2^63 − 1. */
  readonly size: bigint
  readonly root: Hash
  /** Opaque lines behind the root, without their newlines. Ours have none; those of others are kept. */
  readonly extensions: readonly string[]
}

/** The text that is signed. Throws RangeError for an origin or extension that is no line. */
export function formatCheckpoint({ origin, size, root, extensions }: CheckpointBody): string {
  const lines = [origin, `${size}`, hashToBase64(root), ...extensions]
  if (lines.some((line) => line === '' || line.includes('\n')))
    throw new RangeError('the lines of a checkpoint are not empty')
  return lines.map((line) => `${line}\n`).join('')
}

/** Inverse of `formatCheckpoint`. Only for text whose signature was checked: see `openCheckpoint`. */
export function parseCheckpoint(text: string): Finding<CheckpointBody> {
  const lines = text.split('\n')
  const end = lines.pop()
  const [origin = '', sizeLine = '', rootLine = '', ...extensions] = lines
  if (end !== '' || lines.length < 3 || lines.includes(''))
    return malformed('a checkpoint has three lines or more (origin, size, root) and no empty one')
  const size = parseSize(sizeLine)
  if (size === null) return malformed('the size of a checkpoint is a decimal number from 0 to 2^63 − 1')
  const root = hashFromBase64(rootLine)
  if (root === null) return malformed(`the root of a checkpoint is the base64 of ${HASH_BYTES} bytes`)
  return holds({ origin, size, root, extensions })
}

/** What a note says, without looking at any key: nothing of it may be believed yet. */
export function checkpointOf(note: string): Finding<CheckpointBody> {
  const parsed = parseNote(note)
  return parsed.ok ? parseCheckpoint(parsed.value.text) : parsed
}

/** A number of leaves or an index: decimal without sign or leading zeros, up to 2^63 − 1; null for anything else. */
export function parseSize(text: string): bigint | null {
  if (!/^(0|[1-9]\d{0,18})$/.test(text)) return null
  const size = BigInt(text)
  return size <= MAX_TREE_SIZE ? size : null
}

export const hashToBase64 = (hash: Hash): string => hashToBytes(hash).toString('base64')

export function hashFromBase64(text: string): Hash | null {
  const bytes = decodeBase64(text)
  return bytes?.length === HASH_BYTES ? hashFromBytes(bytes) : null
}

/** The checkpoint as a note with a signature of each key. */
export const signCheckpoint = (body: CheckpointBody, keys: readonly SigningKey[]): string =>
  signNote(formatCheckpoint(body), keys)

/** Whose word is taken for which log. */
export interface Trust {
  readonly keys: readonly VerifierKey[]
  /** The one origin that is expected. Without it a key answers for the origin that is its name, and for those below. */
  readonly origin?: string
  /** Who must have cosigned it too. */
  readonly witnesses?: readonly WitnessKey[]
}

export interface OpenedCheckpoint extends CheckpointBody {
  /** Known keys that signed it and may answer for its origin; at least one. */
  readonly signedBy: readonly VerifierKey[]
  /** The witnesses that were asked for, and when they cosigned. */
  readonly cosignedBy?: readonly Cosignature[]
}

/** Reads a checkpoint and believes it only when a known key that may answer for its origin has signed it. */
export function openCheckpoint(note: string, { keys, origin, witnesses }: Trust): Finding<OpenedCheckpoint> {
  const opened = openNote(note, keys)
  if (!opened.ok) return opened
  const body = parseCheckpoint(opened.value.text)
  if (!body.ok) return body
  if (origin !== undefined && body.value.origin !== origin)
    return unverified(`it is a checkpoint of ${body.value.origin}, not of ${origin}`)
  const signedBy = answering(opened.value, body.value.origin, origin)
  if (signedBy.length === 0)
    return unverified(
      `no key that signed it answers for ${body.value.origin}: name the origin that is expected`,
    )
  if (witnesses === undefined) return holds({ ...body.value, signedBy })
  const { text, unknown } = opened.value
  const cosigned = cosignaturesOf({ text, signatures: unknown }, witnesses)
  if (!cosigned.ok) return cosigned
  const absent = witnesses.find((witness) => cosigned.value.every(({ key }) => key.text !== witness.text))
  if (absent !== undefined)
    return unverified(`the witness ${absent.name}+${absent.keyId} has not cosigned it`)
  return holds({ ...body.value, signedBy, cosignedBy: cosigned.value })
}

const answering = ({ signedBy }: OpenedNote, origin: string, expected: string | undefined) =>
  expected === undefined ? signedBy.filter((key) => isAnsweredBy(origin, key.name)) : signedBy
