import { type ErrorCode, type FieldProblem, httpStatusOf, ServiceError, titleOf } from '../errors.ts'

/** `application/problem+json` (RFC 9457) with the members that this service adds. */
export interface Problem {
  readonly type: string
  readonly title: string
  readonly status: number
  readonly code: ErrorCode
  readonly detail: string
  readonly instance: string
  readonly requestId: string
  readonly errors?: readonly FieldProblem[]
}

/** What the answer to a request says about an error; never an internal message. */
export interface Refusal {
  readonly code: ErrorCode
  readonly detail: string
  readonly fields: readonly FieldProblem[]
}

const maxFields = 100
const maxTextLength = 1_000

export function refusalOf(error: unknown): Refusal {
  if (error instanceof ServiceError && error.code !== 'INTERNAL') {
    const fields = error.fields.slice(0, maxFields).map(({ path, message }) => ({
      path: visible(path),
      message: visible(message),
    }))
    return { code: error.code, detail: visible(error.message), fields }
  }
  if (isBadUrl(error)) return { code: 'BAD_REQUEST', detail: 'The address is not valid', fields: [] }
  return {
    code: 'INTERNAL',
    detail: 'Something went wrong inside; the log has it under the request id',
    fields: [],
  }
}

export function problemOf(refusal: Refusal, instance: string, requestId: string): Problem {
  const { code, detail, fields } = refusal
  return {
    type: `urn:streaming-ingest:problem:${code.toLowerCase().replaceAll('_', '-')}`,
    title: titleOf(code),
    status: httpStatusOf(code),
    code,
    detail,
    instance,
    requestId,
    ...(fields.length > 0 && { errors: fields }),
  }
}

/** A 400 that names each field and what is wrong with it. */
export function badRequest(fields: readonly FieldProblem[]): ServiceError {
  const detail = fields
    .slice(0, 5)
    .map(({ path, message }) => (path === '' ? message : `${path}: ${message}`))
    .join('; ')
  return new ServiceError('BAD_REQUEST', detail, { fields })
}

/** Text that came from outside, bounded, without control, invisible and unpaired characters. */
export function visible(text: string, maxLength: number = maxTextLength): string {
  return text.slice(0, maxLength).toWellFormed().replace(/\p{C}/gu, '\uFFFD')
}

/** The router refuses percent-encoding that is not UTF-8 with a URIError. */
function isBadUrl(error: unknown): boolean {
  return error instanceof URIError || (error instanceof Error && Reflect.get(error, 'status') === 400)
}
