/** Fields that requests have in common. Free of Node's modules, since workflows import it. */
import { z } from 'zod'

/** One thing wrong with an input. */
export interface RequestProblem {
  /** Dotted: `filters.eventTypes.0`; empty for the whole. */
  readonly path: string
  readonly message: string
}

export type Parsed<Value> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly problems: readonly RequestProblem[] }

/** The largest offset that Kafka has. */
export const MAX_OFFSET = 2n ** 63n - 1n
/** The largest partition number that Kafka has. */
export const MAX_PARTITION = 2 ** 31 - 1

/** Kafka's rules: 1…249 letters, digits, dots, underscores and dashes, and neither `.` nor `..`. */
export const topicName = z
  .string()
  .regex(/^[a-zA-Z0-9._-]{1,249}$/, 'a topic name has 1 to 249 letters, digits, ".", "_" and "-"')
  .refine((name) => name !== '.' && name !== '..', 'a topic cannot be called "." or ".."')

export const partitionNumber = z.int().min(0).max(MAX_PARTITION)

const OFFSET_MESSAGE = 'an offset is a decimal string from "0" to "9223372036854775807"'

/**
 * A decimal string without sign or leading zeros. A JSON number is admitted as far as a double holds it exactly
 * (people write `"offset": 5000`), and becomes the string.
 */
export const offsetText = z
  .union([z.string(), z.int().min(0)], OFFSET_MESSAGE)
  .transform((given) => String(given))
  .refine((text) => /^(0|[1-9]\d{0,18})$/.test(text) && BigInt(text) <= MAX_OFFSET, OFFSET_MESSAGE)

/** Lower case, since that is how ids are stored. */
export const uuidText = z.uuid().transform((id) => id.toLowerCase())

const YEAR_1_MS = Date.parse('0001-01-01T00:00:00Z')
const YEAR_10000_MS = Date.parse('9999-12-31T23:59:59.999Z') + 1

/** Whether an instant, ms since 1970, lies in the years 1 to 9999 of UTC: what PostgreSQL and ISO 8601 with four digits have. */
export const isPresentableInstant = (ms: number): boolean => ms >= YEAR_1_MS && ms < YEAR_10000_MS

const MAX_REASON_LENGTH = 1_000

/** Why an operator decided what he decided, in words. */
export const reasonText = z
  .string()
  .trim()
  .min(1)
  .max(MAX_REASON_LENGTH)
  .refine(
    (text) => text.isWellFormed() && !text.includes('\u0000'),
    'must be well-formed text without U+0000',
  )

const MAX_PROBLEMS = 100
const MAX_PATH_LENGTH = 200

/**
 * Parses with every problem listed by path (the first hundred of them). Problems name fields, types and limits, never
 * a value.
 */
export function parseWith<Value>(schema: z.ZodType<Value>, input: unknown): Parsed<Value> {
  const parsed = schema.safeParse(input)
  if (parsed.success) return { ok: true, value: parsed.data }
  return { ok: false, problems: parsed.error.issues.flatMap(toProblems).slice(0, MAX_PROBLEMS) }
}

function toProblems(issue: z.core.$ZodIssue): RequestProblem[] {
  const show = (path: readonly PropertyKey[]) => path.map(String).join('.').slice(0, MAX_PATH_LENGTH)
  // A name that should not be there is reported at its own path, so that the answer names the field.
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((key) => ({ path: show([...issue.path, key]), message: 'there is no such field' }))
  const isMissing =
    issue.path.length > 0 && issue.code === 'invalid_type' && issue.message.endsWith('received undefined')
  return [{ path: show(issue.path), message: isMissing ? 'is missing' : issue.message }]
}
