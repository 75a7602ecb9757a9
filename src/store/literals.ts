import { escapeLiteral } from 'pg'
import type { EventFilters } from '../domain/replay.ts'
import { ServiceError } from '../errors.ts'

/** COPY takes no parameters: what stands in its text comes through here. */

/** A text constant. Throws RangeError on what no text column holds: U+0000, half of a surrogate pair. */
export function textLiteral(value: string): string {
  if (value.includes('\u0000') || !value.isWellFormed())
    throw new RangeError('the text can stand in no column')
  return escapeLiteral(value)
}

export const timeLiteral = (ms: number): string => `timestamptz '${new Date(ms).toISOString()}'`

/** A whole number, as a constant. */
export function numberLiteral(value: bigint | number): string {
  if (typeof value === 'number' && !Number.isSafeInteger(value)) throw new RangeError('not a whole number')
  // In brackets: a minus sign must not meet another one.
  return `(${value.toString()})`
}

const filterColumns = { eventTypes: 'type', sources: 'source', tenantIds: 'tenant_id' } as const

/**
 * SQL that is true for the events that pass, null when all do. Throws BAD_REQUEST naming the entry that no column can
 * hold.
 */
export function filterCondition(filters: EventFilters): string | null {
  const conditions: string[] = []
  for (const name of ['eventTypes', 'sources', 'tenantIds'] as const) {
    const values = filters[name]
    if (values === undefined || values.length === 0) continue
    const literals = values.map((value, index) => filterLiteral(value, `filters.${name}.${index}`))
    conditions.push(`${filterColumns[name]} in (${literals.join(', ')})`)
  }
  // tenant_id may be null: not true is false.
  return conditions.length === 0 ? null : `coalesce(${conditions.join(' and ')}, false)`
}

function filterLiteral(value: string, path: string): string {
  try {
    return textLiteral(value)
  } catch {
    const message = 'must be well-formed text without U+0000'
    throw new ServiceError('BAD_REQUEST', `${path} ${message}`, { fields: [{ path, message }] })
  }
}
