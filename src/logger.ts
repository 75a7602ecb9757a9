import { type DestinationStream, pino } from 'pino'
import { ServiceError } from './errors.ts'

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'
export type LogFields = Readonly<Record<string, unknown>>

/** What the parts use to log: a sentence and fields. Errors go into the field `error`. */
export interface Logger {
  debug(message: string, fields?: LogFields): void
  info(message: string, fields?: LogFields): void
  warn(message: string, fields?: LogFields): void
  error(message: string, fields?: LogFields): void
  /** The same logger with `fields` on every line. */
  child(fields: LogFields): Logger
}

export interface LoggerOptions {
  readonly level: LogLevel
  /** On every line, for instance the role. */
  readonly fields?: LogFields
  /** Default: stdout. */
  readonly destination?: DestinationStream
}

/**
 * JSON lines. Fields with the name of a secret are replaced, passwords inside URLs too, and an error gives only its
 * name and codes, and its message if it is a ServiceError: kafkajs puts whole Kafka messages into error texts.
 */
export function createLogger(options: LoggerOptions): Logger {
  const settings = {
    level: options.level,
    base: { ...options.fields },
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label: string) => ({ level: label }) },
  }
  return wrap(pino(settings, options.destination ?? pino.destination({ dest: 1, sync: true })))
}

interface Sink {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

function wrap(sink: Sink, bound: LogFields = {}): Logger {
  const fieldsOf = (fields: LogFields | undefined): object => safeFields({ ...bound, ...fields })
  return {
    debug: (message, fields) => sink.debug(fieldsOf(fields), message),
    info: (message, fields) => sink.info(fieldsOf(fields), message),
    warn: (message, fields) => sink.warn(fieldsOf(fields), message),
    error: (message, fields) => sink.error(fieldsOf(fields), message),
    child: (fields) => wrap(sink, { ...bound, ...fields }),
  }
}

const secretName =
  /pass(word|phrase)?$|secret|token|api_?key|authorization|cookie|^key$|credential|private_?key/i
const urlPassword = /([a-z][a-z0-9+.-]*:\/\/[^\s:/@]*):[^\s@/]+@/gi
const maxDepth = 6
const maxTextLength = 4_096

function safeFields(fields: LogFields): Record<string, unknown> {
  return safeObject(fields, 0)
}

function safeObject(value: object, depth: number): Record<string, unknown> {
  const safe: Record<string, unknown> = {}
  for (const [name, part] of Object.entries(value))
    safe[name] = secretName.test(name) && part !== null ? '[redacted]' : safeValue(part, depth + 1)
  return safe
}

function safeValue(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return value.slice(0, maxTextLength).replace(urlPassword, '$1:[redacted]@')
  if (typeof value === 'bigint') return value.toString()
  if (value instanceof Error) return describeError(value, depth)
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString()
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`
  if (typeof value !== 'object' || value === null) return typeof value === 'function' ? '[function]' : value
  if (depth > maxDepth) return '[deeper]'
  if (Array.isArray(value)) return value.slice(0, 100).map((part) => safeValue(part, depth + 1))
  if (value instanceof Map || value instanceof Set) return safeValue([...value], depth + 1)
  return safeObject(value, depth)
}

/** Name, code and type of an error and of its causes; the message only of a ServiceError, which is safe to show. */
export function describeError(error: unknown, depth = 0): Record<string, unknown> {
  if (!(error instanceof Error)) return { name: typeof error }
  const described: Record<string, unknown> = { name: error.name }
  for (const name of ['code', 'type', 'syscall', 'routine'] as const) {
    const value: unknown = Reflect.get(error, name)
    if (typeof value === 'string' || typeof value === 'number') described[name] = value
  }
  if (error instanceof ServiceError) described['message'] = safeValue(error.message, depth)
  else described['at'] = frames(error)
  if (error.cause !== undefined && depth < maxDepth)
    described['cause'] = describeError(error.cause, depth + 1)
  return described
}

/** Where it was thrown: stack frames without the message that precedes them. */
function frames(error: Error): string[] {
  const stack = error.stack ?? ''
  const message = stack.indexOf(error.message)
  return stack
    .slice(message < 0 ? 0 : message + error.message.length)
    .split('\n')
    .filter((line) => /^ {4}at /.test(line))
    .slice(0, 8)
    .map((line) => line.trim().replace(/^at /, ''))
}
