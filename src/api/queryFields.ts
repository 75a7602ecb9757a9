import type { Request } from 'express'
import { z } from 'zod'
import { MAX_OFFSET, MAX_PARTITION, parseWith } from '../domain/requestFields.ts'
import { badRequest } from './problem.ts'

/** Fields of query strings: all are text on the wire, and one given twice is a list, which none of them takes. */

const defaultLimit = 50
const maxLimit = 1_000
const maxColumnLength = 256
const maxCursorLength = 2_048
/** A PostgreSQL integer. */
const MAX_INCARNATION = 2n ** 31n - 1n

const wholeNumber = (min: bigint, max: bigint) =>
  z.string().refine((text) => /^\d{1,19}$/.test(text) && BigInt(text) >= min && BigInt(text) <= max, {
    error: `must be a whole number from ${min} to ${max}`,
  })

export const limitField = wholeNumber(1n, BigInt(maxLimit)).transform(Number).default(defaultLimit)
export const partitionField = wholeNumber(0n, BigInt(MAX_PARTITION)).transform(Number)
export const incarnationField = wholeNumber(1n, MAX_INCARNATION).transform(Number)
export const offsetField = wholeNumber(0n, MAX_OFFSET).transform((text) => BigInt(text))
export const cursorField = z.string().min(1).max(maxCursorLength)
export const textField = z
  .string()
  .min(1)
  .max(maxColumnLength)
  .refine((text) => text.isWellFormed() && !text.includes('\u0000'), {
    error: 'must be well-formed text without U+0000',
  })

/** What lists take that can only be paged through. */
export const pageQuery = z.strictObject({ limit: limitField, cursor: cursorField.optional() }) as z.ZodType<{
  limit: number
  cursor?: string
}>
/** For actions that say everything in their path. */
export const emptyBody = z.strictObject({}).optional()

/** The query string as `schema` says; unknown and repeated names are refused. Throws BAD_REQUEST. */
export function readQuery<T>(schema: z.ZodType<T>, req: Request): T {
  const parsed = parseWith(schema, { ...req.query })
  if (!parsed.ok) throw badRequest(parsed.problems)
  return parsed.value
}

const nothing = z.strictObject({})

/** For routes that take no query. */
export const refuseQuery = (req: Request): void => {
  readQuery(nothing, req)
}

/** A part of the path. Throws BAD_REQUEST that names it. */
export function readPathPart<T>(schema: z.ZodType<T>, req: Request, name: string): T {
  const parsed = parseWith(schema, req.params[name])
  if (!parsed.ok) throw badRequest(parsed.problems.map(({ message }) => ({ path: name, message })))
  return parsed.value
}
