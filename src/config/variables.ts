import { z } from 'zod'
import { isInstanceName } from '../domain/evidence/origin.ts'

/**
 * One schema per environment variable: what it may be, what it becomes, what it is when not given.
 * Messages complete the sentence "NAME …" and never hold the value, which may be a secret in the wrong place.
 */

const integer = (fallback: number, min: number, max: number) =>
  z
    .string()
    .refine((text) => /^\d{1,15}$/.test(text) && Number(text) >= min && Number(text) <= max, {
      error: `must be a whole number from ${min} to ${max}`,
    })
    .transform(Number)
    .default(fallback)

const flagWords: Readonly<Record<string, boolean>> = {
  true: true,
  '1': true,
  yes: true,
  on: true,
  false: false,
  '0': false,
  no: false,
  off: false,
}

const flag = (fallback: boolean) =>
  z
    .string()
    .refine((text) => Object.hasOwn(flagWords, text.toLowerCase()), { error: 'must be true or false' })
    .transform((text) => flagWords[text.toLowerCase()] === true)
    .default(fallback)

const choice = <const T extends readonly [string, ...string[]]>(values: T) =>
  z.enum(values, { error: `must be one of ${values.join(', ')}` })

const text = (maxLength: number) =>
  z.string().refine((value) => value.length <= maxLength && !/\p{Cc}/u.test(value), {
    error: `must be at most ${maxLength} characters without control characters`,
  })

const list = (item: (text: string) => boolean, error: string) =>
  z
    .string()
    .transform((value) => [
      ...new Set(
        value
          .split(',')
          .map((part) => part.trim())
          .filter((part) => part !== ''),
      ),
    ])
    .refine((items) => items.length > 0 && items.every(item), { error })

/** `host:port`, `name.example:port` or `[::1]:port`. */
function isAddress(value: string): boolean {
  const match = /^(?:\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):(\d{1,5})$/.exec(value)
  const port = Number(match?.[1])
  return match !== null && port >= 1 && port <= 65535
}

/** Kafka's rule for topic names. */
const isTopic = (value: string): boolean =>
  /^[A-Za-z0-9._-]{1,249}$/.test(value) && value !== '.' && value !== '..'

function isPostgresUrl(value: string): boolean {
  const url = URL.parse(value)
  return url !== null && ['postgres:', 'postgresql:'].includes(url.protocol) && url.pathname.length > 1
}

const address = z.string().refine(isAddress, { error: 'must be host:port' })

const postgresUrl = z.string({ error: 'must be set' }).refine(isPostgresUrl, {
  error:
    'must be a PostgreSQL address such as postgres://user:password@host:5432/database (special characters in the password percent-encoded)',
})

export const logLevels = ['debug', 'info', 'warn', 'error'] as const
export const saslMechanisms = ['plain', 'scram-sha-256', 'scram-sha-512'] as const

/** Every environment variable that the service reads; `.env.example` lists the same ones. */
export const variables = z.object({
  KAFKA_BROKERS: list(isAddress, 'must be a comma-separated list of host:port').default(['kafka:9092']),
  KAFKA_TOPICS: list(isTopic, 'must be a comma-separated list of topic names').default(['events']),
  KAFKA_GROUP_ID: text(255).default('streaming-ingest'),
  KAFKA_CLIENT_ID: text(255).default('streaming-ingest'),
  KAFKA_SESSION_TIMEOUT_MS: integer(10_000, 1_000, 1_800_000),
  KAFKA_FETCH_MAX_BYTES: integer(2_097_152, 65_536, 67_108_864),
  KAFKA_TLS: flag(false),
  KAFKA_TLS_CA_FILE: z.string().optional(),
  KAFKA_TLS_CERT_FILE: z.string().optional(),
  KAFKA_TLS_KEY_FILE: z.string().optional(),
  KAFKA_SASL_MECHANISM: choice(saslMechanisms).optional(),
  KAFKA_SASL_USERNAME: z.string().optional(),
  KAFKA_SASL_PASSWORD: z.string().optional(),

  DATABASE_URL: postgresUrl,
  DATABASE_ADMIN_URL: postgresUrl.optional(),
  DATABASE_APPEND_POOL_SIZE: integer(8, 1, 1_000),
  DATABASE_POOL_SIZE: integer(8, 2, 1_000),

  BATCH_MODE: flag(false),
  BATCH_SIZE: integer(100, 1, 1_000_000),
  BATCH_MAX_WAIT_MS: integer(250, 1, 60_000),
  DEDUP_WINDOW_OFFSETS: integer(10_000_000, 0, 999_999_999_999_999),
  MAX_VALUE_BYTES: integer(1_048_576, 1, 67_108_864),
  FAST_PATH: flag(true),

  TEMPORAL_ADDRESS: address.default('localhost:7233'),
  TEMPORAL_NAMESPACE: text(255).default('default'),
  TEMPORAL_TASK_QUEUE: text(255).default('streaming-ingest'),
  TEMPORAL_API_KEY: z.string().optional(),
  TEMPORAL_TLS: flag(false),
  TEMPORAL_TLS_CA_FILE: z.string().optional(),
  TEMPORAL_TLS_CERT_FILE: z.string().optional(),
  TEMPORAL_TLS_KEY_FILE: z.string().optional(),
  TEMPORAL_TLS_SERVER_NAME: text(255).optional(),

  REPLAY_CREATE_TARGETS: flag(true),
  REPLAY_CONCURRENCY: integer(4, 1, 100),
  REPLAY_PAGE_EVENTS: integer(1_500, 1, 100_000),
  REPLAY_PAGE_BYTES: integer(4_194_304, 65_536, 67_108_864),
  REPLAY_SLICE_MS: integer(20_000, 1_000, 120_000),
  // At most what the broker's transaction.max.timeout.ms is by default.
  REPLAY_TRANSACTION_TIMEOUT_MS: integer(60_000, 5_000, 900_000),

  INSTANCE_NAME: z
    .string()
    .refine(isInstanceName, {
      error: 'must be a name of at most 200 characters without spaces, "+", and "/" at its ends',
    })
    .optional(),
  CHECKPOINT_SIGNING_KEY: z.string().optional(),
  CHECKPOINT_SIGNING_KEY_FILE: z.string().optional(),
  CHECKPOINT_NEXT_SIGNING_KEY: z.string().optional(),
  CHECKPOINT_NEXT_SIGNING_KEY_FILE: z.string().optional(),
  CHECKPOINT_KEY_OVERLAP_HOURS: integer(168, 0, 87_600),
  NOTE_PLACES: z.string().default(''),
  ARCHIVE_PLACE: z.string().optional(),
  S3_ACCESS_KEY_ID: z.string().optional(),
  S3_SECRET_ACCESS_KEY: z.string().optional(),
  S3_SECRET_ACCESS_KEY_FILE: z.string().optional(),
  S3_SESSION_TOKEN: z.string().optional(),

  HOST: text(255).default('127.0.0.1'),
  PORT: integer(8080, 0, 65_535),
  METRICS_PORT: integer(0, 0, 65_535),
  API_ALLOWED_HOSTS: list(
    (name) => /^[A-Za-z0-9._-]{1,253}$/.test(name),
    'must be a comma-separated list of host names without ports',
  ).default([]),

  LOG_LEVEL: choice(logLevels).default('info'),
})

export type Variables = z.output<typeof variables>
export const variableNames: readonly string[] = Object.keys(variables.shape)
