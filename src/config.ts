import { readFileSync } from 'node:fs'
import { type PlacesConfig, readPlaces } from './config/places.ts'
import { readSigning, type SigningConfig } from './config/signing.ts'
import { type Variables, variableNames, variables } from './config/variables.ts'

/** PEM texts, read from the files that the environment names. */
export interface TlsConfig {
  /** The system's authorities when absent. */
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
  /** Name to expect in the server's certificate instead of the host that was dialled. */
  readonly serverName?: string
}

export interface SaslConfig {
  readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512'
  readonly username: string
  readonly password: string
}

export interface Config {
  readonly kafka: {
    readonly brokers: readonly string[]
    readonly topics: readonly string[]
    readonly groupId: string
    readonly clientId: string
    readonly sessionTimeoutMs: number
    /** Most bytes that one fetch brings of one partition, compressed. */
    readonly fetchMaxBytes: number
    /** Null: plain text. */
    readonly tls: TlsConfig | null
    readonly sasl: SaslConfig | null
  }
  readonly database: {
    readonly url: string
    /** The owner's address, for migrations only. */
    readonly adminUrl: string | null
    /** Connections that append, and connections for everything else. */
    readonly appendPoolSize: number
    readonly poolSize: number
  }
  readonly ingest: {
    readonly batchMode: boolean
    readonly batchSize: number
    readonly batchMaxWaitMs: number
    readonly dedupWindowOffsets: bigint
    readonly maxValueBytes: number
    readonly fastPath: boolean
  }
  readonly temporal: {
    readonly address: string
    readonly namespace: string
    readonly taskQueue: string
    readonly apiKey: string | null
    readonly tls: TlsConfig | null
  }
  readonly replay: {
    readonly createTargets: boolean
    readonly concurrency: number
    readonly pageEvents: number
    readonly pageBytes: number
    readonly sliceMs: number
    readonly transactionTimeoutMs: number
  }
  readonly signing: SigningConfig
  readonly places: PlacesConfig
  readonly http: {
    readonly host: string
    readonly port: number
    /** 0: a free one. */
    readonly metricsPort: number
    readonly allowedHosts: readonly string[]
  }
  readonly log: { readonly level: Variables['LOG_LEVEL'] }
}

export type ConfigResult =
  | { readonly ok: true; readonly config: Config }
  /** One line each, naming the variable; never holds a value. */
  | { readonly ok: false; readonly problems: readonly string[] }

export type Environment = Readonly<Record<string, string | undefined>>

/**
 * Reads the whole configuration, or says everything that is wrong with it at once. An empty variable counts as not
 * set. `readFile` is for the files of certificates and keys.
 */
export function readConfig(
  env: Environment,
  readFile: (path: string) => string = (path) => readFileSync(path, 'utf8'),
): ConfigResult {
  const problems: string[] = []
  const values = readVariables(env, problems)
  const assembled: Assembled = {
    kafkaTls: readTls(values, 'KAFKA', readFile, problems),
    kafkaSasl: readSasl(values, problems),
    temporalTls: readTls(values, 'TEMPORAL', readFile, problems),
    signing: readSigning(values, readFile, problems),
    places: readPlaces(values, readFile, problems),
  }
  if (values.TEMPORAL_API_KEY !== undefined && values.TEMPORAL_TLS === false)
    problems.push('TEMPORAL_API_KEY needs TEMPORAL_TLS=true: it would travel in the clear')
  if (problems.length > 0) return { ok: false, problems }
  return { ok: true, config: deepFreeze(group(variables.parse(givenVariables(env)), assembled)) }
}

/** What each variable is, one by one, so that a wrong one hides no problem of the others. */
function readVariables(env: Environment, problems: string[]): Partial<Variables> {
  const given = givenVariables(env)
  const values: Record<string, unknown> = {}
  for (const [name, schema] of Object.entries(variables.shape)) {
    const parsed = schema.safeParse(given[name])
    if (parsed.success) values[name] = parsed.data
    else for (const issue of parsed.error.issues) problems.push(`${name} ${issue.message}`)
  }
  return values as Partial<Variables>
}

function givenVariables(env: Environment): Record<string, string> {
  const given: Record<string, string> = {}
  for (const name of variableNames) {
    const value = env[name]
    if (value === undefined || value.trim() === '') continue
    given[name] = name.endsWith('_PASSWORD') ? value : value.trim()
  }
  return given
}

interface Assembled {
  readonly kafkaTls: TlsConfig | null
  readonly kafkaSasl: SaslConfig | null
  readonly temporalTls: TlsConfig | null
  readonly signing: SigningConfig
  readonly places: PlacesConfig
}

function group(v: Variables, assembled: Assembled): Config {
  return {
    kafka: {
      brokers: v.KAFKA_BROKERS,
      topics: v.KAFKA_TOPICS,
      groupId: v.KAFKA_GROUP_ID,
      clientId: v.KAFKA_CLIENT_ID,
      sessionTimeoutMs: v.KAFKA_SESSION_TIMEOUT_MS,
      fetchMaxBytes: v.KAFKA_FETCH_MAX_BYTES,
      tls: assembled.kafkaTls,
      sasl: assembled.kafkaSasl,
    },
    database: {
      url: v.DATABASE_URL,
      adminUrl: v.DATABASE_ADMIN_URL ?? null,
      appendPoolSize: v.DATABASE_APPEND_POOL_SIZE,
      poolSize: v.DATABASE_POOL_SIZE,
    },
    ingest: {
      batchMode: v.BATCH_MODE,
      batchSize: v.BATCH_SIZE,
      batchMaxWaitMs: v.BATCH_MAX_WAIT_MS,
      dedupWindowOffsets: BigInt(v.DEDUP_WINDOW_OFFSETS),
      maxValueBytes: v.MAX_VALUE_BYTES,
      fastPath: v.FAST_PATH,
    },
    temporal: {
      address: v.TEMPORAL_ADDRESS,
      namespace: v.TEMPORAL_NAMESPACE,
      taskQueue: v.TEMPORAL_TASK_QUEUE,
      apiKey: v.TEMPORAL_API_KEY ?? null,
      tls: assembled.temporalTls,
    },
    replay: {
      createTargets: v.REPLAY_CREATE_TARGETS,
      concurrency: v.REPLAY_CONCURRENCY,
      pageEvents: v.REPLAY_PAGE_EVENTS,
      pageBytes: v.REPLAY_PAGE_BYTES,
      sliceMs: v.REPLAY_SLICE_MS,
      transactionTimeoutMs: v.REPLAY_TRANSACTION_TIMEOUT_MS,
    },
    signing: assembled.signing,
    places: assembled.places,
    http: { host: v.HOST, port: v.PORT, metricsPort: v.METRICS_PORT, allowedHosts: v.API_ALLOWED_HOSTS },
    log: { level: v.LOG_LEVEL },
  }
}

function readTls(
  v: Partial<Variables>,
  of: 'KAFKA' | 'TEMPORAL',
  readFile: (path: string) => string,
  problems: string[],
): TlsConfig | null {
  const files = {
    ca: v[`${of}_TLS_CA_FILE`],
    cert: v[`${of}_TLS_CERT_FILE`],
    key: v[`${of}_TLS_KEY_FILE`],
  }
  const read = (part: keyof typeof files): Pick<TlsConfig, typeof part> => {
    const path = files[part]
    if (path === undefined) return {}
    try {
      return { [part]: readFile(path) }
    } catch (error) {
      const why = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error'
      problems.push(`${of}_TLS_${part.toUpperCase()}_FILE names a file that cannot be read (${why})`)
      return {}
    }
  }
  if (v[`${of}_TLS`] !== true) {
    const given = Object.values(files).some((path) => path !== undefined)
    if (given && v[`${of}_TLS`] === false)
      problems.push(`${of}_TLS must be true when certificate files are given`)
    return null
  }
  if ((files.cert === undefined) !== (files.key === undefined))
    problems.push(`${of}_TLS_CERT_FILE and ${of}_TLS_KEY_FILE must be given together`)
  const serverName = of === 'TEMPORAL' ? v.TEMPORAL_TLS_SERVER_NAME : undefined
  return { ...read('ca'), ...read('cert'), ...read('key'), ...(serverName !== undefined && { serverName }) }
}

function readSasl(v: Partial<Variables>, problems: string[]): SaslConfig | null {
  const mechanism = v.KAFKA_SASL_MECHANISM
  const username = v.KAFKA_SASL_USERNAME
  const password = v.KAFKA_SASL_PASSWORD
  if (mechanism === undefined && username === undefined && password === undefined) return null
  if (mechanism === undefined || username === undefined || password === undefined) {
    problems.push('KAFKA_SASL_MECHANISM, KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD must be given together')
    return null
  }
  return { mechanism, username, password }
}

function deepFreeze<T>(value: T): T {
  // Bytes cannot be frozen.
  if (typeof value === 'object' && value !== null && !ArrayBuffer.isView(value)) {
    for (const part of Object.values(value)) deepFreeze(part)
    Object.freeze(value)
  }
  return value
}
