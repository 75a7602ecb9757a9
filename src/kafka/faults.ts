import { ServiceError } from '../errors.ts'

/** Kafka's error codes that anything here tells apart or names; the rest are named by their number. */
const codeNames: Readonly<Record<number, string>> = {
  [-1]: 'UNKNOWN_SERVER_ERROR',
  1: 'OFFSET_OUT_OF_RANGE',
  2: 'CORRUPT_MESSAGE',
  3: 'UNKNOWN_TOPIC_OR_PARTITION',
  5: 'LEADER_NOT_AVAILABLE',
  6: 'NOT_LEADER_FOR_PARTITION',
  7: 'REQUEST_TIMED_OUT',
  8: 'BROKER_NOT_AVAILABLE',
  9: 'REPLICA_NOT_AVAILABLE',
  10: 'MESSAGE_TOO_LARGE',
  12: 'OFFSET_METADATA_TOO_LARGE',
  13: 'NETWORK_EXCEPTION',
  14: 'COORDINATOR_LOAD_IN_PROGRESS',
  15: 'COORDINATOR_NOT_AVAILABLE',
  16: 'NOT_COORDINATOR',
  17: 'INVALID_TOPIC_EXCEPTION',
  18: 'RECORD_LIST_TOO_LARGE',
  19: 'NOT_ENOUGH_REPLICAS',
  20: 'NOT_ENOUGH_REPLICAS_AFTER_APPEND',
  22: 'ILLEGAL_GENERATION',
  25: 'UNKNOWN_MEMBER_ID',
  27: 'REBALANCE_IN_PROGRESS',
  29: 'TOPIC_AUTHORIZATION_FAILED',
  30: 'GROUP_AUTHORIZATION_FAILED',
  31: 'CLUSTER_AUTHORIZATION_FAILED',
  32: 'INVALID_TIMESTAMP',
  35: 'UNSUPPORTED_VERSION',
  36: 'TOPIC_ALREADY_EXISTS',
  37: 'INVALID_PARTITIONS',
  38: 'INVALID_REPLICATION_FACTOR',
  40: 'INVALID_CONFIG',
  41: 'NOT_CONTROLLER',
  44: 'POLICY_VIOLATION',
  45: 'OUT_OF_ORDER_SEQUENCE_NUMBER',
  46: 'DUPLICATE_SEQUENCE_NUMBER',
  47: 'INVALID_PRODUCER_EPOCH',
  48: 'INVALID_TXN_STATE',
  49: 'INVALID_PRODUCER_ID_MAPPING',
  50: 'INVALID_TRANSACTION_TIMEOUT',
  51: 'CONCURRENT_TRANSACTIONS',
  52: 'TRANSACTION_COORDINATOR_FENCED',
  53: 'TRANSACTIONAL_ID_AUTHORIZATION_FAILED',
  56: 'KAFKA_STORAGE_ERROR',
  58: 'SASL_AUTHENTICATION_FAILED',
  59: 'UNKNOWN_PRODUCER_ID',
  74: 'FENCED_LEADER_EPOCH',
  75: 'UNKNOWN_LEADER_EPOCH',
  87: 'INVALID_RECORD',
  88: 'UNSTABLE_OFFSET_COMMIT',
  90: 'PRODUCER_FENCED',
}

/** Codes that a later try, perhaps at another node, can get past. */
const passingCodes = new Set([3, 5, 6, 7, 8, 9, 13, 14, 15, 16, 19, 20, 41, 52, 56, 74, 75])
/** Codes that say that another owner has taken the transactional id. */
const fencing = new Set([47, 90])

/** kafkajs errors that mean that no answer came, so that a request's outcome is not known. */
const connectionNames = new Set([
  'KafkaJSConnectionError',
  'KafkaJSConnectionClosedError',
  'KafkaJSRequestTimeoutError',
  'KafkaJSBrokerNotFound',
  'KafkaJSLockTimeout',
  'KafkaJSGroupCoordinatorNotFound',
  'KafkaJSNoBrokerAvailableError',
  'KafkaJSMetadataNotLoaded',
])

export const kafkaCodeName = (code: number): string => codeNames[code] ?? `error code ${code}`

/**
 * What went wrong with Kafka, in words that are safe to log and to show: made of error types, codes and addresses only.
 * kafkajs' own error texts can hold a whole message as JSON, so none of them ever gets in here.
 */
export class KafkaFault extends Error {
  /** Kafka's error code, null when no broker said it. */
  readonly kafkaCode: number | null
  /** No answer came: the connection failed, closed or timed out. */
  readonly connection: boolean
  /** Whether trying again, perhaps at another node, can help. */
  readonly passing: boolean

  constructor(text: string, options: { kafkaCode?: number; connection?: boolean; passing?: boolean } = {}) {
    super(text)
    this.name = 'KafkaFault'
    this.kafkaCode = options.kafkaCode ?? null
    this.connection = options.connection ?? false
    this.passing = options.passing ?? (this.connection || passingCodes.has(options.kafkaCode ?? 0))
  }
}

export const codeFault = (code: number): KafkaFault =>
  new KafkaFault(kafkaCodeName(code), { kafkaCode: code })

/** Another owner has taken over the transactional id: this one must stop. */
export class FencedError extends ServiceError {
  readonly fenced = true

  constructor(detail: string, cause: KafkaFault) {
    super('KAFKA_UNAVAILABLE', detail, { cause })
    this.name = 'FencedError'
  }
}

interface ErrorShape {
  readonly name?: unknown
  readonly type?: unknown
  readonly code?: unknown
  readonly broker?: unknown
  readonly cause?: unknown
  readonly errors?: unknown
}

/** A safe account of anything that kafkajs, a socket or our own decoding threw. */
export function faultFrom(error: unknown): KafkaFault {
  if (error instanceof KafkaFault) return error
  if (!(error instanceof Error)) return new KafkaFault('unknown error')
  const shape = error as ErrorShape
  if (Array.isArray(shape.errors) && shape.errors.length > 0) return faultFrom(shape.errors[0])
  if (typeof shape.type === 'string' && typeof shape.code === 'number') {
    return new KafkaFault(kafkaCodeName(shape.code), { kafkaCode: shape.code })
  }
  const name = String(shape.name)
  if (connectionNames.has(name)) return new KafkaFault(connectionText(name, shape), { connection: true })
  if (shape.cause instanceof Error) return faultFrom(shape.cause)
  if (name === 'KafkaJSSASLAuthenticationError') {
    return new KafkaFault('authentication failed', { kafkaCode: 58 })
  }
  if (typeof shape.code === 'string' && /^E[A-Z]+$/.test(shape.code)) {
    return new KafkaFault(shape.code, { connection: true })
  }
  return new KafkaFault(name)
}

function connectionText(name: string, shape: ErrorShape): string {
  const reason =
    typeof shape.code === 'string' && /^[A-Z_]+$/.test(shape.code)
      ? shape.code
      : name.replace(/^KafkaJS/, '').replace(/Error$/, '')
  return typeof shape.broker === 'string' ? `${reason} at ${shape.broker}` : reason
}

/** KAFKA_UNAVAILABLE (FencedError when fenced) for anything thrown while doing `what`; a ServiceError stays itself. */
export function unavailable(what: string, error: unknown): ServiceError {
  if (error instanceof ServiceError) return error
  const fault = faultFrom(error)
  const detail = `${what}: ${fault.message}`
  if (fault.kafkaCode !== null && fencing.has(fault.kafkaCode)) return new FencedError(detail, fault)
  return new ServiceError('KAFKA_UNAVAILABLE', detail, { cause: fault })
}
