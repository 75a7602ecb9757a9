/**
 * The one closed list of error codes, with what HTTP says for each and whether trying again can help.
 * `retry: false` becomes a non-retryable failure in activities.
 */
const codes = {
  // input
  BAD_REQUEST: { status: 400, retry: false, title: 'The request is not valid' },
  PAYLOAD_TOO_LARGE: { status: 413, retry: false, title: 'The request body is too large' },
  UNSUPPORTED_MEDIA_TYPE: { status: 415, retry: false, title: 'The request body is not JSON' },
  FORBIDDEN: { status: 403, retry: false, title: 'The request is refused' },
  NOT_FOUND: { status: 404, retry: false, title: 'There is no such thing' },
  EVENT_AMBIGUOUS: { status: 409, retry: false, title: 'Several logs hold an event with this id' },
  METHOD_NOT_ALLOWED: { status: 405, retry: false, title: 'The method is not allowed here' },
  // log, ranges, checkpoints
  UNKNOWN_TOPIC: { status: 404, retry: false, title: 'No log exists for the topic' },
  UNKNOWN_PARTITION: { status: 404, retry: false, title: 'No log exists for the partition' },
  OFFSET_NOT_INGESTED: { status: 409, retry: false, title: 'The offset is not ingested yet' },
  OFFSET_BEFORE_LOG: { status: 409, retry: false, title: 'The offset lies before the start of the log' },
  RANGE_EMPTY: { status: 400, retry: false, title: 'The range holds no offset' },
  CHECKPOINT_NOT_FOUND: { status: 404, retry: false, title: 'There is no such checkpoint' },
  CHECKPOINT_FOREIGN: { status: 409, retry: false, title: 'The checkpoint belongs to another log' },
  CHECKPOINT_MISMATCH: { status: 409, retry: false, title: 'The log no longer matches the checkpoint' },
  CHECKPOINT_EMPTY: { status: 409, retry: false, title: 'The checkpoint covers nothing' },
  CHECKPOINTS_REVERSED: {
    status: 409,
    retry: false,
    title: 'The first checkpoint covers more than the second',
  },
  NOT_COVERED: { status: 409, retry: false, title: 'No signed checkpoint covers the event' },
  CHECKPOINT_UNSIGNED: { status: 409, retry: false, title: 'The checkpoint carries no signature' },
  SIGNING_KEY_MISSING: { status: 503, retry: false, title: 'The key that signs checkpoints is missing' },
  SIGNING_KEY_REFUSED: { status: 409, retry: false, title: 'The key cannot sign for this installation' },
  EVENT_NOT_FOUND: { status: 404, retry: false, title: 'There is no such event' },
  LOG_DAMAGED: { status: 409, retry: false, title: 'A stored event does not match its hash' },
  DETACHED: { status: 410, retry: false, title: 'The events went away with a detached day' },
  PRODUCER_KEY_MISSING: { status: 409, retry: false, title: 'The source has no valid key to verify with' },
  PRODUCERS_FULL: { status: 409, retry: false, title: 'There are as many keys or sources as there may be' },
  // archives and recovery
  ARCHIVE_NOT_FOUND: { status: 404, retry: false, title: 'There is no such archive' },
  ARCHIVE_ENDED: { status: 409, retry: false, title: 'The archive has already ended' },
  ARCHIVE_DAMAGED: { status: 409, retry: false, title: 'The archive is not what its manifest says' },
  ARCHIVE_AMBIGUOUS: {
    status: 409,
    retry: false,
    title: 'Two manifests of one archive are good and say different things',
  },
  ARCHIVE_PLACE_DIFFERS: { status: 409, retry: true, title: 'The archive is at another place' },
  ARCHIVE_PLACE_MISSING: { status: 409, retry: false, title: 'No place for archives is configured' },
  HOLD_UNCHANGED: { status: 409, retry: false, title: 'The legal hold is as it should be already' },
  HELD: { status: 409, retry: false, title: 'A legal hold forbids it' },
  DAY_NEEDED: { status: 409, retry: false, title: 'Leaves of that day are needed for the next root' },
  NOT_ARCHIVED: { status: 409, retry: false, title: 'No verified archive holds all of it' },
  DATABASE_NOT_EMPTY: { status: 409, retry: false, title: 'The database is not empty' },
  NOTE_REFUSED: { status: 409, retry: false, title: 'A signed note cannot be believed' },
  ROOT_MISMATCH: { status: 409, retry: false, title: 'The archive has another root than a signed note' },
  // source
  TOPIC_RECREATED: { status: 409, retry: false, title: 'The source topic was deleted and made again' },
  SOURCE_MISSING: { status: 404, retry: false, title: 'Kafka has no such source partition' },
  LOG_NOT_CLOSED: { status: 409, retry: false, title: 'The log is not closed: ingest goes on in it' },
  SOURCE_TRUNCATED: { status: 409, retry: false, title: 'The source partition was cut back below the log' },
  COMMITS_LOST: { status: 409, retry: false, title: 'The database lost records that Kafka no longer has' },
  CLOCK_LEAP: { status: 409, retry: false, title: 'The database clock leapt by more than an hour' },
  // replay
  REPLAY_NOT_FOUND: { status: 404, retry: false, title: 'There is no such replay' },
  REPLAY_ID_REUSED: { status: 409, retry: false, title: 'The replay id belongs to another request' },
  REPLAY_ENDED: { status: 409, retry: false, title: 'The replay has already ended' },
  TARGET_IS_SOURCE: { status: 400, retry: false, title: 'The target topic is the source topic' },
  TARGET_INGESTED: { status: 409, retry: false, title: 'The target topic is read by ingest' },
  TARGET_MISSING: { status: 404, retry: false, title: 'The target topic does not exist' },
  TARGET_TOO_FEW_PARTITIONS: { status: 409, retry: false, title: 'The target topic has fewer partitions' },
  TARGET_MESSAGE_SIZE: { status: 409, retry: false, title: 'The target takes only smaller records' },
  TARGET_LOG_APPEND_TIME: { status: 409, retry: false, title: 'The target replaces timestamps' },
  TARGET_COMPACTED: { status: 409, retry: false, title: 'The target is compacted' },
  TARGET_RETENTION: { status: 409, retry: false, title: 'The target would delete the events at once' },
  TARGET_RECREATED: { status: 409, retry: false, title: 'The target topic was deleted and made again' },
  TARGET_REJECTED: { status: 409, retry: false, title: 'The target topic rejected a record' },
  CURSOR_LOST: { status: 409, retry: false, title: 'The cursor of the replay is gone' },
  // verification
  VERIFICATION_NOT_FOUND: { status: 404, retry: false, title: 'There is no such verification' },
  VERIFICATION_ENDED: { status: 409, retry: false, title: 'The verification has already ended' },
  NO_LOGS: { status: 404, retry: false, title: 'There is no log to verify' },
  SCHEDULE_NOT_FOUND: { status: 404, retry: false, title: 'There is no schedule' },
  REPLAY_RUNNING: { status: 409, retry: false, title: 'The replay has not ended yet' },
  CURSOR_NOT_LOST: { status: 409, retry: false, title: 'The replay did not fail for a lost cursor' },
  COUNT_MISMATCH: {
    status: 500,
    retry: false,
    title: 'The replay produced another number of events than planned',
  },
  CANCELLED: { status: 409, retry: false, title: 'The replay was cancelled' },
  // servers
  DATABASE_UNAVAILABLE: { status: 503, retry: true, title: 'The database is not available' },
  KAFKA_UNAVAILABLE: { status: 503, retry: true, title: 'Kafka is not available' },
  TEMPORAL_UNAVAILABLE: { status: 503, retry: true, title: 'Temporal is not available' },
  SCHEMA_OUTDATED: {
    status: 503,
    retry: true,
    title: 'The database schema is missing or older than this version',
  },
  PLACE_UNAVAILABLE: {
    status: 503,
    retry: true,
    title: 'A place outside the database is not available',
  },
  LOG_NOT_TAKEN: { status: 503, retry: true, title: 'A place outside the database does not take this log' },
  UNKNOWN_PLACE: { status: 404, retry: false, title: 'There is no such place for notes' },
  TIMEOUT: { status: 504, retry: true, title: 'It took too long' },
  INTERNAL: { status: 500, retry: true, title: 'Something went wrong inside' },
} as const satisfies Record<string, { status: number; retry: boolean; title: string }>

export type ErrorCode = keyof typeof codes

export interface FieldProblem {
  /** Where in the input, dotted: `filters.eventTypes.0`; empty for the whole. */
  readonly path: string
  readonly message: string
}

/** An error with a code from the closed list; `message` is safe to show to whoever asked. */
export class ServiceError extends Error {
  readonly code: ErrorCode
  readonly fields: readonly FieldProblem[]

  constructor(
    code: ErrorCode,
    detail: string,
    options: { cause?: unknown; fields?: readonly FieldProblem[] } = {},
  ) {
    super(detail, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'ServiceError'
    this.code = code
    this.fields = options.fields ?? []
  }
}

/**
 * A place is there and does not take this log now: it was not told of it, has seen more of it than there is, or has no room
 * under its name. Others it may take.
 */
export class LogNotTaken extends ServiceError {
  constructor(detail: string, options: { readonly cause?: unknown } = {}) {
    super('LOG_NOT_TAKEN', detail, options)
  }
}

/** The connection was lost while a transaction was committed: it may be done, or undone. */
export class CommitUnknown extends ServiceError {
  constructor(detail: string, options: { readonly cause?: unknown } = {}) {
    super('DATABASE_UNAVAILABLE', detail, options)
  }
}

/** What lies at a place under a name has more bytes than it may: nothing that trying again could mend. */
export class TooLarge extends ServiceError {
  constructor(detail: string) {
    super('PLACE_UNAVAILABLE', detail)
  }
}

/** The place is there, and does not give this one thing: others it may give. */
export class NotGiven extends ServiceError {
  constructor(detail: string, options: { readonly cause?: unknown } = {}) {
    super('PLACE_UNAVAILABLE', detail, options)
  }
}

/** The keys that a checkpoint was signed with may not be those of its time any more: it is signed anew. */
export class SigningKeysChanged extends ServiceError {
  constructor() {
    super('INTERNAL', 'the signing keys were changed while a checkpoint was signed')
  }
}

export const isErrorCode = (value: unknown): value is ErrorCode =>
  typeof value === 'string' && Object.hasOwn(codes, value)
export const httpStatusOf = (code: ErrorCode): number => codes[code].status
export const titleOf = (code: ErrorCode): string => codes[code].title
export const isRetryable = (code: ErrorCode): boolean => codes[code].retry

/** The same error, for whoever asked: a stack says nothing to him but where this program lies. */
export function withoutStack<Failure extends Error>(error: Failure): Failure {
  error.stack = ''
  return error
}
