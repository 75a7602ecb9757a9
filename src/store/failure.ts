import { ServiceError } from '../errors.ts'

/** What Node says when nobody answers or the line drops; pg adds errors that have only a message. */
const lostConnectionCodes = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOENT',
  'ERR_STREAM_DESTROYED',
  'ERR_STREAM_WRITE_AFTER_END',
  'ERR_SOCKET_CLOSED',
])
const lostConnectionMessages =
  /connection terminated|timeout exceeded when trying to connect|not queryable|connection error|timeout expired|query read timeout|pool after calling end|client was closed|stream.*destroyed/i

const sqlStatePattern = /^[0-9A-Z]{5}$/

interface Fault {
  readonly code?: unknown
  readonly message?: unknown
  readonly cause?: unknown
  readonly constraint?: unknown
  readonly table?: unknown
}

/** The error and its causes, outermost first: Drizzle wraps what pg throws. */
function* chainOf(error: unknown): Generator<Fault> {
  let current = error
  for (let depth = 0; depth < 8 && typeof current === 'object' && current !== null; depth++) {
    yield current as Fault
    current = (current as Fault).cause
  }
}

/** SQLSTATE of the server's error inside, or null when the server said nothing. */
export function sqlStateOf(error: unknown): string | null {
  for (const fault of chainOf(error)) {
    // Node's own codes (EPIPE) look alike; the server's faults carry a severity.
    if (typeof fault.code === 'string' && sqlStatePattern.test(fault.code) && 'severity' in fault)
      return fault.code
  }
  return null
}

/** The server's own words about a constraint, when it named one. */
export function constraintOf(error: unknown): string | null {
  for (const fault of chainOf(error)) if (typeof fault.constraint === 'string') return fault.constraint
  return null
}

export function isLostConnection(error: unknown): boolean {
  for (const fault of chainOf(error)) {
    if (typeof fault.code === 'string' && lostConnectionCodes.has(fault.code)) return true
    if (typeof fault.message === 'string' && lostConnectionMessages.test(fault.message)) return true
    // Node tries every address of a name and reports all failures at once.
    if (fault instanceof AggregateError && fault.errors.some(isLostConnection)) return true
  }
  return false
}

/** Classes 08 connection, 28 login, 40 rollback, 53 resources, 55 locks, 57 shutdown and cancel: try again. */
const unavailableClasses = new Set(['08', '28', '40', '53', '57'])

/**
 * Any failure of a statement as an error from the closed list. The message holds the SQLSTATE and what was being done,
 * never SQL text, parameters or addresses; the original is the `cause`, for logs on this side only.
 */
export function storeError(error: unknown, doing: string): ServiceError {
  if (error instanceof ServiceError) return error
  const state = sqlStateOf(error)
  if (state === null) {
    return isLostConnection(error)
      ? new ServiceError('DATABASE_UNAVAILABLE', `No connection to the database while ${doing}`, {
          cause: error,
        })
      : new ServiceError('INTERNAL', `Unexpected failure while ${doing}`, { cause: error })
  }
  const said = `(SQLSTATE ${state}) while ${doing}`
  if (unavailableClasses.has(state.slice(0, 2)) || state === '55P03')
    return new ServiceError('DATABASE_UNAVAILABLE', `The database could not answer ${said}`, { cause: error })
  if (state.startsWith('42') || state.startsWith('3D') || state.startsWith('3F'))
    return new ServiceError('SCHEMA_OUTDATED', `The schema does not fit this version ${said}`, {
      cause: error,
    })
  return new ServiceError('INTERNAL', `The database refused ${said}`, { cause: error })
}

/** Runs `work` and turns its failures into `storeError`s. */
export async function guarded<T>(doing: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw storeError(error, doing)
  }
}
