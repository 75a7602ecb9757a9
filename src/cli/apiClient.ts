import type { FieldProblem } from '../errors.ts'
import { badInput, CliFailure, exitCodeOf, interruptedFailure } from './failure.ts'

/** Code of a failure after which an action may have been done or not. */
export const OUTCOME_UNKNOWN = 'OUTCOME_UNKNOWN'

/** Longest that an answer is waited for: reads, and actions, which the API checks, records and does. */
const readTimeoutMs = 20_000
const actionTimeoutMs = 90_000
const maxAnswerBytes = 64 * 1024 * 1024

export interface ApiClient {
  /** The JSON of the answer. Throws CliFailure; code `UNREACHABLE` when there was no answer from the API. */
  get(path: string): Promise<unknown>
  /** An answer that is a file: its text, as it is. Throws like `get`. */
  text(path: string): Promise<string>
  post(path: string, body: unknown, headers?: Readonly<Record<string, string>>): Promise<unknown>
  put(path: string, body: unknown): Promise<unknown>
  /** Throws like `get`; there is no answer but that it was done. */
  delete(path: string): Promise<void>
}

export interface ApiClientOptions {
  readonly apiUrl: string
  readonly requestedBy: string
  /** Ends requests under way. */
  readonly signal: AbortSignal
}

export function createApiClient(options: ApiClientOptions): ApiClient {
  return {
    get: async (path) => jsonOf(options, await request(options, { method: 'GET' }, path, readTimeoutMs)),
    text: async (path) => textOf(options, await request(options, { method: 'GET' }, path, readTimeoutMs)),
    post: async (path, body, own) => {
      const init = { method: 'POST', ...jsonBody(body, own) }
      return jsonOf(options, await request(options, init, path, actionTimeoutMs))
    },
    put: async (path, body) =>
      jsonOf(options, await request(options, { method: 'PUT', ...jsonBody(body) }, path, actionTimeoutMs)),
    delete: async (path) => {
      const { status, text } = await request(options, { method: 'DELETE' }, path, actionTimeoutMs)
      if (status !== 204) throw refused(options.apiUrl, status, parseJson(text))
    },
  }
}

const jsonBody = (body: unknown, headers: Readonly<Record<string, string>> = {}) => ({
  body: JSON.stringify(body),
  headers: { ...headers, 'Content-Type': 'application/json' },
})

interface Answer {
  readonly status: number
  readonly type: string
  readonly text: string
}

function jsonOf({ apiUrl }: ApiClientOptions, { status, text }: Answer): unknown {
  const answer = parseJson(text)
  if (status >= 200 && status < 300 && answer !== null) return answer
  throw refused(apiUrl, status, answer)
}

/** A page of some other service is none of our files. */
function textOf({ apiUrl }: ApiClientOptions, { status, type, text }: Answer): string {
  if (status === 200 && /^(text\/plain|application\/json);/.test(type)) return text
  throw refused(apiUrl, status, parseJson(text))
}

interface Init {
  readonly method: string
  readonly body?: string
  readonly headers?: Readonly<Record<string, string>>
}

async function request(
  options: ApiClientOptions,
  init: Init,
  path: string,
  timeoutMs: number,
): Promise<Answer> {
  const { apiUrl, requestedBy, signal } = options
  try {
    const response = await fetch(`${apiUrl}${path}`, {
      ...init,
      headers: {
        ...init.headers,
        Accept: 'application/json, application/problem+json, text/plain',
        // Header values are bytes: UTF-8, written as latin1.
        'X-Requested-By': Buffer.from(requestedBy, 'utf8').toString('latin1'),
      },
      redirect: 'error',
      signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
    })
    const type = response.headers.get('content-type') ?? ''
    return { status: response.status, type, text: await readText(response) }
  } catch (error) {
    if (signal.aborted) throw interrupted(init.method)
    throw unreachable(apiUrl, error, init.method, timeoutMs)
  }
}

async function readText(response: Response): Promise<string> {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of response.body ?? []) {
    length += chunk.length
    if (length > maxAnswerBytes) throw new Error('the answer is too large')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

/** Before any connection was made, nothing can have begun. */
const neverSent: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
  'bad port',
])

function interrupted(method: string): CliFailure {
  if (method === 'GET') return interruptedFailure()
  const line = 'interrupted before the API answered: whether it was begun is not known'
  return new CliFailure(1, OUTCOME_UNKNOWN, line)
}

function unreachable(apiUrl: string, error: unknown, method: string, timeoutMs: number): CliFailure {
  const timedOut = error instanceof Error && error.name === 'TimeoutError'
  const why = timedOut ? `no answer within ${timeoutMs / 1_000} s` : reasonOf(error)
  const line = `The API at ${apiUrl} does not answer (${why})`
  if (method !== 'GET' && !neverSent.has(why))
    return new CliFailure(1, OUTCOME_UNKNOWN, `${line}: whether it was begun is not known`)
  return new CliFailure(1, 'UNREACHABLE', `${line}: start it (pnpm dev, or pnpm start) or set API_URL`)
}

/** undici says "fetch failed" and keeps the reason in its cause; a name with two addresses gives one for each. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown reason'
  if ('code' in error && typeof error.code === 'string') return error.code
  if (error instanceof AggregateError && error.errors.length > 0) return reasonOf(error.errors[0])
  return error.cause === undefined ? error.message : reasonOf(error.cause)
}

function parseJson(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : null
  } catch {
    return null
  }
}

function refused(apiUrl: string, status: number, problem: Record<string, unknown> | null): CliFailure {
  const code = problem?.['code']
  const detail = problem?.['detail']
  if (typeof code !== 'string' || typeof detail !== 'string')
    return new CliFailure(
      1,
      'UNREACHABLE',
      `What answers at ${apiUrl} is not this API (HTTP ${status}): set API_URL`,
    )
  const fields = fieldsOf(problem?.['errors'])
  if (fields.length > 0 && status < 500) return badInput(fields, code)
  const exitCode = status >= 500 ? 1 : exitCodeOf(code)
  const requestId = status >= 500 ? ` (request ${String(problem?.['requestId'])})` : ''
  return new CliFailure(exitCode, code, `${code}: ${detail}${requestId}`)
}

function fieldsOf(errors: unknown): FieldProblem[] {
  if (!Array.isArray(errors)) return []
  return errors.map((entry: Partial<FieldProblem>) => ({
    path: String(entry.path ?? ''),
    message: String(entry.message ?? ''),
  }))
}
