import { ServiceError } from '../errors.ts'

/** Where a list goes on: behind this (log, offset), or behind this sequence number. Opaque to who holds it. */
export type Position = readonly bigint[]

const NUMBER = /^-?(0|[1-9][0-9]{0,18})$/
const MAX_INT8 = 2n ** 63n - 1n

/** Text for URLs: base64url of the numbers with commas. */
export const encodeCursor = (kind: string, position: Position): string =>
  Buffer.from([kind, ...position].join(',')).toString('base64url')

/** Inverse of encodeCursor; throws BAD_REQUEST naming `cursor` on anything that it would not have written. */
export function decodeCursor(kind: string, cursor: string, numbers: number): Position {
  const text = Buffer.from(cursor, 'base64url').toString('latin1')
  const [first, ...parts] = text.split(',')
  const position = parts.filter((part) => NUMBER.test(part)).map(BigInt)
  const wellFormed =
    first === kind &&
    parts.length === numbers &&
    position.length === numbers &&
    position.every((number) => number >= -1n && number <= MAX_INT8) &&
    encodeCursor(kind, position) === cursor
  if (wellFormed) return position
  const message = 'must be the nextCursor of an earlier answer'
  throw new ServiceError('BAD_REQUEST', `cursor ${message}`, { fields: [{ path: 'cursor', message }] })
}
