/** Places outside the database that notes are sent to, as they are configured, and how a note is filed there. */
import { type ParsedPlace, parametersOf, parseS3Place, placeProblem, type S3Place } from '../s3Place.ts'
import { checkpointOf } from './checkpointNote.ts'
import { parseWitnessKey, type WitnessKey } from './cosignature.ts'
import { parseNote } from './note.ts'

/** `name` says which place it is, in states, metrics and logs, for ever; it holds no credentials. */
export type NotePlaceConfig = { readonly name: string } & (
  | { readonly kind: 'folder'; readonly path: string }
  | { readonly kind: 's3'; readonly place: S3Place }
  | { readonly kind: 'kafka'; readonly topic: string }
  | { readonly kind: 'witness'; readonly url: string; readonly key: WitnessKey }
)
export type NotePlaceKind = NotePlaceConfig['kind']

const MAX_PLACES = 20
const NAME = /^[\w.:/@+-]{1,200}$/

export interface ParsedNotePlaces {
  readonly places: readonly NotePlaceConfig[]
  /** One line each, with the number of the entry; never a part of what was given. */
  readonly problems: readonly string[]
}

/** Reads a list of places, separated by commas. */
export function parseNotePlaces(text: string): ParsedNotePlaces {
  const entries = text
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '')
  if (entries.length > MAX_PLACES) return { places: [], problems: [`has more than ${MAX_PLACES} entries`] }
  const places: NotePlaceConfig[] = []
  const problems: string[] = []
  for (const [index, entry] of entries.entries()) {
    const parsed = parseNotePlace(entry)
    if (!parsed.ok) problems.push(`entry ${index + 1} ${parsed.problem}`)
    else if (places.some(({ name }) => name === parsed.value.name))
      problems.push(`entry ${index + 1} has the name of another one: tell them apart with ?name=`)
    else places.push(parsed.value)
  }
  return { places, problems }
}

const schemes = 'must begin with file:///, s3://, kafka:, witness+https:// or, on loopback, witness+http://'

/** Reads one place. */
export function parseNotePlace(entry: string): ParsedPlace<NotePlaceConfig> {
  const url = URL.parse(entry)
  if (url === null) return placeProblem(schemes)
  if (url.username !== '' || url.password !== '') return placeProblem('must not hold credentials')
  const read = readers[url.protocol]
  const found = read === undefined ? placeProblem(schemes) : read(url, entry)
  if (!found.ok) return found
  const name = url.searchParams.get('name') ?? found.value.name
  if (!NAME.test(name)) return placeProblem('needs a ?name= of at most 200 letters, digits and ._:/@+-')
  return { ok: true, value: { ...found.value, name } }
}

const readers: Readonly<Record<string, (url: URL, entry: string) => ParsedPlace<NotePlaceConfig>>> = {
  'file:': readFolder,
  's3:': readBucket,
  'kafka:': readTopic,
  'witness+https:': readWitness,
  'witness+http:': readWitness,
}

function readFolder(url: URL): ParsedPlace<NotePlaceConfig> {
  if (url.host !== '' || url.hash !== '' || parametersOf(url, ['name']) === null)
    return placeProblem('must look like file:///folder')
  const path = decoded(url.pathname)?.replace(/(?<=.)\/+$/, '')
  if (path === undefined || path.includes('\0') || path === '/')
    return placeProblem('must name a folder with its whole path')
  return { ok: true, value: { kind: 'folder', name: `file://${url.pathname.replace(/\/+$/, '')}`, path } }
}

function readBucket(_url: URL, entry: string): ParsedPlace<NotePlaceConfig> {
  const place = parseS3Place(entry, ['name'])
  if (!place.ok) return place
  const { bucket, prefix } = place.value
  const name = `s3://${bucket}/${prefix}`.replace(/\/$/, '')
  return { ok: true, value: { kind: 's3', name, place: place.value } }
}

function readTopic(url: URL): ParsedPlace<NotePlaceConfig> {
  const topic = url.pathname
  const isTopic = /^[a-zA-Z0-9._-]{1,249}$/.test(topic) && topic !== '.' && topic !== '..'
  if (url.host !== '' || url.hash !== '' || !isTopic || parametersOf(url, ['name']) === null)
    return placeProblem('must look like kafka:topic')
  return { ok: true, value: { kind: 'kafka', name: `kafka:${topic}`, topic } }
}

function readWitness(url: URL, entry: string): ParsedPlace<NotePlaceConfig> {
  const target = URL.parse(entry.slice('witness+'.length).replace(/[?#].*$/s, ''))
  if (target === null || parametersOf(url, ['name']) === null)
    return placeProblem('must look like witness+https://witness.example/#<verifier key>')
  if (target.protocol === 'http:' && !isLoopback(target.hostname))
    return placeProblem('must speak https with a witness that is not on loopback')
  const key = parseWitnessKey(url.hash.slice(1))
  if (!key.ok) return placeProblem(`must end with # and the witness's verifier key: ${key.detail}`)
  const base = target.href.replace(/\/+$/, '')
  return { ok: true, value: { kind: 'witness', name: `witness+${base}`, url: base, key: key.value } }
}

const isLoopback = (host: string): boolean =>
  host === 'localhost' || host === '[::1]' || /^127(\.\d{1,3}){3}$/.test(host)

function decoded(path: string): string | undefined {
  try {
    return decodeURIComponent(path)
  } catch {
    return undefined
  }
}

const SIZE_DIGITS = 19

/**
 * Where the note of a log at a size is filed: `<origin>/<size, 19 digits>.note`, so that names sort by size. Each part of the
 * origin is percent-encoded, so that none leads out of the place.
 */
export function notePath(origin: string, size: bigint): string {
  const parts = origin.split('/').map((part) => {
    const encoded = encodeURIComponent(part)
    return /^\.*$/.test(encoded) ? encoded.replaceAll('.', '%2E') || '%' : encoded
  })
  return `${parts.join('/')}/${String(size).padStart(SIZE_DIGITS, '0')}.note`
}

/** Whether two notes say the same, whoever signed them. */
export function saysTheSame(one: string, other: string): boolean {
  const [left, right] = [parseNote(one), parseNote(other)]
  return left.ok && right.ok && left.value.text === right.value.text
}

/** The origin of a note that nobody has checked; null when it cannot be read. */
export function originOf(note: string): string | null {
  const checkpoint = checkpointOf(note)
  return checkpoint.ok ? checkpoint.value.origin : null
}
