/** The shape of an exported record's line, member by member: docs/evidence.md. */
import { z } from 'zod'
import { isCanonical } from '../canonicalJson.ts'
import { hasMoreMarks } from '../jsonMarks.ts'
import { MAX_DETAIL_LENGTH } from '../rejection.ts'
import { decodeBase64 } from './base64.ts'
import { parseSize } from './checkpointNote.ts'
import { type Finding, holds, malformed } from './finding.ts'

export const RECORD_FORMAT = 'streaming-ingest/record@v1'

const MAX_INT64 = 2n ** 63n - 1n
const notBase64 = 'expected standard base64 with padding'

const index = z.string().transform((text, context) => {
  const value = parseSize(text)
  if (value === null) context.addIssue('expected a decimal string from "0" to "9223372036854775807"')
  return value ?? 0n
})

const int64 = z
  .string()
  .regex(/^(0|-?[1-9]\d{0,18})$/, 'expected a decimal string')
  .transform(BigInt)
  .refine((value) => value <= MAX_INT64 && value >= -MAX_INT64 - 1n, 'does not fit in 64 bits')

const bytes = z.string().transform((text, context) => {
  const decoded = decodeBase64(text)
  if (decoded === null) context.addIssue(notBase64)
  return decoded ?? Buffer.alloc(0)
})

const common = {
  format: z.literal(RECORD_FORMAT),
  /** A line: no control characters. */
  origin: z.string().regex(/^[^\p{Cc}]+$/u, 'expected one line of text'),
  leafIndex: index,
  leaf: z.string().regex(/^[0-9a-f]{64}$/, 'expected 64 lower-case hex digits'),
  ingestedAt: z.int().optional(),
}

const deadLetter = z
  .strictObject({
    code: z.string().regex(/^[A-Z][A-Z0-9_]{0,63}$/, 'expected a code in capitals'),
    detail: z.string().max(MAX_DETAIL_LENGTH),
  })
  .optional()

const shape = z.discriminatedUnion('kind', [
  z.strictObject({
    ...common,
    kind: z.literal('record'),
    offset: index,
    timestamp: int64,
    key: bytes.nullable(),
    headers: bytes,
    value: bytes.nullable(),
    deadLetter,
  }),
  z
    .strictObject({
      ...common,
      kind: z.literal('gap'),
      from: index,
      to: index,
      deadLetter: z.undefined().optional(),
    })
    .refine(({ from, to }) => from < to, { path: ['to'], message: 'a gap holds at least one offset' }),
  z
    .strictObject({
      ...common,
      kind: z.literal('batch'),
      firstOffset: index,
      lastOffset: index,
      timestamp: int64,
      bytes,
      deadLetter,
    })
    .refine(({ firstOffset, lastOffset }) => firstOffset <= lastOffset, {
      path: ['lastOffset'],
      message: 'lies before the first offset',
    }),
])

export type RecordLine = z.infer<typeof shape>

/** Reads a line, which must be the canonical form of what it says: one record has one line. */
export function recordLine(line: string): Finding<RecordLine> {
  const value = isOverfull(line) ? undefined : parseJson(line)
  if (value === undefined) return malformed('an exported record is one line of JSON')
  const parsed = shape.safeParse(value)
  if (!parsed.success) return malformed(`the exported record: ${showIssue(parsed.error)}`)
  if (!isCanonical(value, line)) return malformed('the exported record is not canonical JSON (RFC 8785)')
  return holds(parsed.data)
}

/** A record has some ten members, and its bytes are base64: far fewer of each mark, also in the text that it may hold. */
const MAX_MARKS = 10_000

/** Whether parsing the line could need many times the memory that its text has. */
export const isOverfull = (line: string): boolean => hasMoreMarks(line, MAX_MARKS)

function parseJson(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

function showIssue({ issues }: z.ZodError): string {
  const [first] = issues
  const where = first?.path.map(String).join('.') ?? ''
  const what =
    first?.code === 'unrecognized_keys' ? 'has a member too many' : (first?.message ?? 'is not one')
  return where === '' ? what : `${where}: ${what}`
}
