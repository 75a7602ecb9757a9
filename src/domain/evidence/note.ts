/** Signed notes: C2SP signed-note.md, held to golang.org/x/mod/sumdb/note where the text leaves a choice. */
import { decodeBase64 } from './base64.ts'
import { type Finding, holds, malformed, unverified } from './finding.ts'
import { isKeyName, type SigningKey, type VerifierKey } from './noteKeys.ts'

/** As many as golang.org/x/mod takes; C2SP asks for at least 16. */
export const MAX_SIGNATURES = 100
/** UTF-8 bytes of a note, signatures included: room for the largest signatures that C2SP knows. */
export const MAX_NOTE_BYTES = 1_000_000

const LINE_START = '— '
const KEY_ID_BYTES = 4

/** A signature line. */
export interface NoteSignature {
  readonly name: string
  /** 8 lower-case hex digits. */
  readonly keyId: string
  readonly signature: Buffer
}

export interface Note {
  /** What is signed; ends with a newline. */
  readonly text: string
  readonly signatures: readonly NoteSignature[]
}

/** Reads a note without looking at any key: nothing that it says may be believed yet. */
export function parseNote(note: string): Finding<Note> {
  if (Buffer.byteLength(note) > MAX_NOTE_BYTES) return malformed(`a note has at most ${MAX_NOTE_BYTES} bytes`)
  if (!isNoteText(note)) return malformed('a note holds no control characters but newlines')
  const blank = note.lastIndexOf('\n\n')
  if (blank < 0) return malformed('a note has an empty line before its signatures')
  const lines = note.slice(blank + 2).split('\n')
  if (lines.pop() !== '' || lines.length === 0)
    return malformed('a note ends with signature lines, each with its newline')
  if (lines.length > MAX_SIGNATURES) return malformed(`a note has at most ${MAX_SIGNATURES} signatures`)
  const signatures: NoteSignature[] = []
  for (const line of lines) {
    const signature = parseSignature(line)
    if (signature === null) return malformed(`line ${lineOf(note, blank, signatures.length)} is no signature`)
    signatures.push(signature)
  }
  return holds({ text: note.slice(0, blank + 1), signatures })
}

const isNoteText = (text: string): boolean => text.isWellFormed() && /^[\n\u0020-\u{10ffff}]*$/u.test(text)

const lineOf = (note: string, blank: number, index: number): number =>
  note.slice(0, blank + 2).split('\n').length + index

function parseSignature(line: string): NoteSignature | null {
  if (!line.startsWith(LINE_START)) return null
  const space = line.indexOf(' ', LINE_START.length)
  const name = line.slice(LINE_START.length, space < 0 ? undefined : space)
  const bytes = space < 0 ? null : decodeBase64(line.slice(space + 1))
  if (bytes === null || bytes.length <= KEY_ID_BYTES || !isKeyName(name)) return null
  return { name, keyId: bytes.toString('hex', 0, KEY_ID_BYTES), signature: bytes.subarray(KEY_ID_BYTES) }
}

/** Inverse of `parseNote`. Throws RangeError for what is no note. */
export function formatNote({ text, signatures }: Note): string {
  const lines = signatures.map(({ name, keyId, signature }) => {
    const bytes = Buffer.concat([Buffer.from(keyId, 'hex'), signature])
    return `${LINE_START}${name} ${bytes.toString('base64')}\n`
  })
  const note = `${text}\n${lines.join('')}`
  if (!text.endsWith('\n') || !parseNote(note).ok) throw new RangeError('this cannot be written as a note')
  return note
}

/**
 * The text signed by every key, behind those of `existing` that are other keys' (a key that signs again replaces its
 * own line). Throws RangeError for a text that no note can have: without its last newline, or with control characters.
 */
export function signNote(
  text: string,
  keys: readonly SigningKey[],
  existing: readonly NoteSignature[] = [],
): string {
  const message = Buffer.from(text, 'utf8')
  const added = keys.map(({ verifierKey: { name, keyId }, sign }) => ({
    name,
    keyId,
    signature: sign(message),
  }))
  const kept = existing.filter((old) => !added.some((one) => isSameKey(one, old)))
  return formatNote({ text, signatures: [...kept, ...added] })
}

interface KeyMark {
  readonly name: string
  readonly keyId: string
}

const isSameKey = (one: KeyMark, other: KeyMark): boolean =>
  one.name === other.name && one.keyId === other.keyId

export interface OpenedNote {
  readonly text: string
  /** Known keys whose signature is good, in the order of the note; at least one. */
  readonly signedBy: readonly VerifierKey[]
  /** Lines of keys that are not known; they say nothing. */
  readonly unknown: readonly NoteSignature[]
}

/**
 * The text of a note that at least one known key has signed. Lines of unknown keys are passed over, and so is a further
 * line of a key whose line was good; a bad signature of a known key, and two known keys of one name and id, spoil the
 * note.
 */
export function openNote(note: string, keys: readonly VerifierKey[]): Finding<OpenedNote> {
  const parsed = parseNote(note)
  if (!parsed.ok) return parsed
  const { text, signatures } = parsed.value
  const message = Buffer.from(text, 'utf8')
  const signedBy: VerifierKey[] = []
  const unknown: NoteSignature[] = []
  for (const line of signatures) {
    const [key, another] = keys.filter((known) => isSameKey(known, line))
    if (another !== undefined) return unverified(`two keys are known as ${line.name}+${line.keyId}`)
    if (key === undefined) unknown.push(line)
    else if (!signedBy.includes(key)) {
      if (!key.verify(message, line.signature))
        return unverified(`the signature of ${line.name}+${line.keyId} is not good`)
      signedBy.push(key)
    }
  }
  if (signedBy.length === 0) return unverified(`no known key has signed it, only ${showKeys(unknown)}`)
  return holds({ text, signedBy, unknown })
}

/** `<name>+<key id>` of each signature line, good or not; none for no note. */
export function signersOf(note: string | null): readonly string[] {
  const parsed = note === null ? null : parseNote(note)
  return parsed?.ok === true ? parsed.value.signatures.map(({ name, keyId }) => `${name}+${keyId}`) : []
}

const MAX_SHOWN_KEYS = 5

function showKeys(lines: readonly NoteSignature[]): string {
  const shown = lines.slice(0, MAX_SHOWN_KEYS).map(({ name, keyId }) => `${name}+${keyId}`)
  return lines.length > MAX_SHOWN_KEYS ? `${shown.join(', ')} and others` : shown.join(', ')
}
