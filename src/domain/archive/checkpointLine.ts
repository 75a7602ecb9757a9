/** A checkpoint of one log as a line of an archive. */
import { z } from 'zod'
import { canonicalize, isCanonical } from '../canonicalJson.ts'
import { parseSize } from '../evidence/checkpointNote.ts'
import { type Finding, holds, malformed } from '../evidence/finding.ts'
import { hasMoreMarks } from '../jsonMarks.ts'
import { isPresentableInstant } from '../requestFields.ts'
import { isStorable } from './manifest.ts'

const FORMAT = 'streaming-ingest/checkpoint@v1'
/** It has some fifteen members, and text of people. */
const MAX_MARKS = 10_000
const text = z.string().refine(isStorable, 'must not hold U+0000')
const whole = z.string().refine((value) => parseSize(value) !== null, 'expected a decimal string')

const shape = z.strictObject({
  format: z.literal(FORMAT),
  id: z.string().regex(/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/),
  topic: text,
  /** As it was asked for; null: all partitions, the head. */
  partition: z
    .int()
    .min(0)
    .max(2 ** 31 - 1)
    .nullable(),
  offset: whole.nullable(),
  createdAt: z.int().refine(isPresentableInstant),
  createdBy: text,
  position: z.strictObject({
    offset: whole,
    size: whole,
    rootHash: z.string().regex(/^[0-9a-f]{64}$/),
    note: text.nullable(),
  }),
})

export type ArchivedCheckpoint = Omit<z.infer<typeof shape>, 'format'>

export const formatCheckpointLine = (checkpoint: ArchivedCheckpoint): string =>
  canonicalize({ format: FORMAT, ...checkpoint })

export function parseCheckpointLine(line: string): Finding<ArchivedCheckpoint> {
  if (hasMoreMarks(line, MAX_MARKS)) return malformed('a line is no archived checkpoint')
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch (error) {
    if (error instanceof SyntaxError) return malformed('a line is not JSON')
    throw error
  }
  const parsed = shape.safeParse(value)
  if (!parsed.success) return malformed('a line is no archived checkpoint')
  const { format: _, ...checkpoint } = parsed.data
  return isCanonical(value, line) ? holds(checkpoint) : malformed('a line is not canonical JSON (RFC 8785)')
}
