/**
 * The details of dead letters: what is wrong and where, for a person, without any part of the value, in text that
 * every database column takes.
 */
import type { z } from 'zod'
import type { DeadLetterCode, Rejection } from './model.ts'

export const MAX_DETAIL_LENGTH = 1_000
const MAX_SHOWN_ISSUES = 5

export const reject = (code: DeadLetterCode, detail: string): Rejection => ({
  kind: 'rejected',
  code,
  detail: detail.length <= MAX_DETAIL_LENGTH ? detail : `${detail.slice(0, MAX_DETAIL_LENGTH - 1)}…`,
})

/** Member names are the producer's: only harmless ones are shown, so that none smuggles in data, NUL or surrogates. */
const harmlessName = /^[A-Za-z0-9_$-]{1,64}$/

/** `data.items.3.name`; names that are not plain words show as `?`. */
export const showPath = (path: readonly PropertyKey[]): string =>
  path.map((part) => (harmlessName.test(String(part)) ? String(part) : '?')).join('.')

/** zod's issues as `path: message`, the first few of them. zod's messages name types and limits, never the input. */
export function showIssues(issues: readonly z.core.$ZodIssue[]): string {
  const shown = issues.slice(0, MAX_SHOWN_ISSUES).map(({ path, message }) => {
    const where = showPath(path)
    return where === '' ? message : `${where}: ${message}`
  })
  const more = issues.length - shown.length
  return more > 0 ? `${shown.join('; ')}; and ${more} more` : shown.join('; ')
}

/**
 * Where JSON.parse gave up. V8 quotes the input in its messages, so nothing of them is kept but the position, which
 * it writes at the very end.
 */
export function showSyntaxError(error: SyntaxError): string {
  const position = /at position (\d+)(?: \(line \d+ column \d+\))?$/.exec(error.message)?.[1]
  if (position !== undefined) return `not JSON at character ${position}`
  if (error.message === 'Unexpected end of JSON input') return 'the JSON text ends too early'
  return 'not JSON'
}
