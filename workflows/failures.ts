import { ActivityFailure, ApplicationFailure, ChildWorkflowFailure } from '@temporalio/workflow'
import type { Parsed } from '../src/domain/requestFields.ts'
import { type ErrorCode, isErrorCode, isRetryable, withoutStack } from '../src/errors.ts'

export interface Described {
  readonly code: ErrorCode
  readonly detail: string
}

/** A failure that ends the workflow, with the code as its type. */
export const failure = (
  code: ErrorCode,
  detail: string,
  fields: readonly unknown[] = [],
): ApplicationFailure =>
  withoutStack(
    ApplicationFailure.create({
      message: detail,
      type: code,
      nonRetryable: !isRetryable(code),
      ...(fields.length > 0 && { details: [fields] }),
    }),
  )

/** The value, or a non-retryable failure that names every field at fault. */
export function accept<Value>(parsed: Parsed<Value>): Value {
  if (parsed.ok) return parsed.value
  const text = parsed.problems.map(({ path, message }) => (path === '' ? message : `${path}: ${message}`))
  throw failure('BAD_REQUEST', text.join('; '), parsed.problems)
}

/** Code and text of what ended an activity or a child; INTERNAL without a text for anything not of our making. */
export function describe(error: unknown): Described {
  let cause = error
  while (
    (cause instanceof ActivityFailure || cause instanceof ChildWorkflowFailure) &&
    cause.cause !== undefined
  )
    cause = cause.cause
  if (cause instanceof ApplicationFailure && isErrorCode(cause.type))
    return { code: cause.type, detail: cause.message }
  return { code: 'INTERNAL', detail: 'the workflow met a failure that it does not know' }
}
