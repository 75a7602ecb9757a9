/**
 * The manifest of an archive: what lies in it, which part of which log that is, and what shows that it is true. One JSON
 * file, canonical (RFC 8785); docs/recovery.md specifies it member by member.
 */
import { z } from 'zod'
import { canonicalize, isCanonical } from '../canonicalJson.ts'
import { parseSize } from '../evidence/checkpointNote.ts'
import { type Finding, holds, malformed } from '../evidence/finding.ts'
import { parseVerifierKey } from '../evidence/noteKeys.ts'
import { formatOrigin, isInstanceName } from '../evidence/origin.ts'
import { hasMoreMarks } from '../jsonMarks.ts'
import { isPresentableInstant } from '../requestFields.ts'

export const MANIFEST_FORMAT = 'streaming-ingest/archive@v1'
export const MANIFEST_NAME = 'manifest.json'
/** Some hundred thousand files: far more than an archive has. */
export const MAX_MANIFEST_BYTES = 128 * 1024 * 1024

/** Of each kind: some ten for each of those files. */
const MAX_MARKS = 4_000_000
/** Its own members lie five deep, those of the request hardly deeper. */
const MAX_DEPTH = 64

/** No file is larger, unpacked or not: one leaf may be a whole record batch, in base64; far above what Kafka lets in. */
export const MAX_FILE_BYTES = 512 * 1024 * 1024
/** Each file ends with it at the latest. */
export const MAX_FILE_LINES = 65_536

const bytes = z.int().min(0).max(MAX_FILE_BYTES)
const instant = z.int().refine(isPresentableInstant, 'must lie in the years 1 to 9999')
/** What PostgreSQL can store as an integer. */
export const MAX_INT4 = 2 ** 31 - 1
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
const uuid = z.string().regex(UUID, 'expected a UUID in lower case')

/** Whether a folder of that name can be an archive's. */
export const isArchiveId = (name: string): boolean => UUID.test(name)

const hex = z.string().regex(/^[0-9a-f]{64}$/, 'expected 64 lower-case hex digits')
/** A database can hold it. */
export const isStorable = (value: string): boolean => !value.includes('\u0000')
const text = z.string().max(100_000).refine(isStorable, 'must not hold U+0000')
const verifierKey = text.refine((value) => parseVerifierKey(value).ok, 'is no verifier key')
/** In whole milliseconds a period may be shorter than one. */
const noEndBeforeBegin = (from: number, until: number | null): boolean => until === null || until >= from
const whole = z
  .string()
  .refine((value) => parseSize(value) !== null, 'expected a decimal string from "0" to "9223372036854775807"')

/** Below the archive's own folder: no way out of it. */
const fileName = z
  .string()
  .max(600)
  .regex(/^[A-Za-z0-9._-]+(?:\/[A-Za-z0-9._-]+)*$/, 'expected a path below the manifest')
  .refine((name) => !name.split('/').some((part) => part === '.' || part === '..'), 'must not lead upwards')

const file = z.strictObject({
  name: fileName,
  /** Of what lies there, compressed. */
  bytes,
  sha256: hex,
  /** Of what it unpacks to. */
  unpackedBytes: bytes,
  lines: z.int().min(0).max(MAX_FILE_LINES),
})

const leavesFile = z.strictObject({
  ...file.shape,
  fromLeaf: whole,
  toLeaf: whole,
  fromOffset: whole,
  toOffset: whole,
})

const log = z
  .strictObject({
    origin: z.string().max(1_000),
    instance: z.string().refine(isInstanceName, 'cannot be the name of an installation'),
    topic: z.string().regex(/^[a-zA-Z0-9._-]{1,249}$/),
    partition: z.int().min(0).max(MAX_INT4),
    topicId: uuid,
    /** Another one may have to follow it. */
    incarnation: z
      .int()
      .min(1)
      .max(MAX_INT4 - 1),
    startOffset: whole,
    leaderEpoch: z.int().min(-1).max(MAX_INT4),
    createdAt: instant,
    fromLeaf: whole,
    toLeaf: whole,
    fromOffset: whole,
    toOffset: whole,
    /** Compact range of the first `fromLeaf` leaves, base64: with the leaves behind it, it gives `rootHash`. */
    frontier: text,
    rootHashBefore: hex,
    rootHash: hex,
    /** The newest signed checkpoint over `toLeaf` leaves or more, and the proof that it begins with them. */
    note: text.nullable(),
    consistency: z.array(z.string().max(64)).max(63),
    files: z.array(leavesFile),
    checkpoints: z.array(file),
  })
  .refine(
    ({ origin, startOffset, ...parts }) =>
      formatOrigin({ ...parts, startOffset: BigInt(startOffset) }) === origin,
    'has an origin that its parts do not make',
  )
  .refine((value) => BigInt(value.fromLeaf) <= BigInt(value.toLeaf), 'ends before it begins')
  .refine(
    coversItsRange,
    'has files that do not follow each other from its first leaf and offset to its last',
  )

function coversItsRange(value: {
  fromLeaf: string
  toLeaf: string
  fromOffset: string
  toOffset: string
  files: z.infer<typeof leavesFile>[]
}): boolean {
  let at = BigInt(value.fromLeaf)
  let atOffset = BigInt(value.fromOffset)
  for (const { fromLeaf, toLeaf, fromOffset, toOffset, lines } of value.files) {
    if (BigInt(fromLeaf) !== at || BigInt(toLeaf) - at !== BigInt(lines) || lines === 0) return false
    // Each leaf takes an offset or more.
    if (BigInt(fromOffset) !== atOffset || BigInt(toOffset) - atOffset < BigInt(lines)) return false
    at = BigInt(toLeaf)
    atOffset = BigInt(toOffset)
  }
  return at === BigInt(value.toLeaf) && atOffset === BigInt(value.toOffset)
}

const shape = z.strictObject({
  format: z.literal(MANIFEST_FORMAT),
  id: uuid,
  createdAt: instant,
  createdBy: text,
  request: z.json(),
  /** Newest migration of the database that it was taken from. */
  schema: text,
  /** Keys that signed checkpoints, with their periods. */
  keys: z.array(
    z
      .strictObject({ key: verifierKey, signsFrom: instant, signsUntil: instant.nullable() })
      .refine(
        ({ signsFrom, signsUntil }) => noEndBeforeBegin(signsFrom, signsUntil),
        'ends before it begins',
      ),
  ),
  producers: z.array(
    z.strictObject({
      source: text,
      policy: z.enum(['ignore', 'verify', 'require']),
      keys: z.array(
        z
          .strictObject({ key: verifierKey, validFrom: instant, validUntil: instant.nullable() })
          .refine(
            ({ validFrom, validUntil }) => noEndBeforeBegin(validFrom, validUntil),
            'ends before it begins',
          ),
      ),
    }),
  ),
  holds: z.array(
    z.strictObject({
      scope: z.enum(['topic', 'tenant']),
      subject: text,
      held: z.boolean(),
      reason: text,
      since: instant,
      by: text,
    }),
  ),
  logs: z.array(log),
})

export type Manifest = z.infer<typeof shape>
export type ManifestLog = Manifest['logs'][number]
export type ManifestFile = z.infer<typeof file>
export type LeavesFile = z.infer<typeof leavesFile>

/** Throws RangeError for what `parseManifest` would not read. */
export function formatManifest(manifest: Manifest): string {
  const written = `${canonicalize(manifest)}\n`
  const parsed = parseManifest(written)
  if (!parsed.ok) throw new RangeError(`this cannot be a manifest: ${parsed.detail}`)
  return written
}

/** Inverse of `formatManifest`; nothing that it says is verified. */
export function parseManifest(given: string): Finding<Manifest> {
  if (hasMoreMarks(given, MAX_MARKS)) return malformed('the manifest holds more than an archive has')
  let value: unknown
  try {
    value = JSON.parse(given)
  } catch (error) {
    if (error instanceof SyntaxError) return malformed('the manifest is not JSON')
    throw error
  }
  // First, since it bounds how deep the value is.
  const canonical = given.endsWith('\n') && isCanonical(value, given.slice(0, -1), MAX_DEPTH)
  if (!canonical) return malformed('the manifest is not canonical JSON (RFC 8785)')
  const parsed = shape.safeParse(value)
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    return malformed(
      `the manifest: ${issue?.path.map(String).join('.') ?? ''}: ${issue?.message ?? 'is none'}`,
    )
  }
  return holds(parsed.data)
}
