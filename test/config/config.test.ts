import { readFileSync } from 'node:fs'
import { parseEnv } from 'node:util'
import { describe, expect, test } from 'vitest'
import { cliVariableNames } from '../../src/cli/environment.ts'
import { variableNames } from '../../src/config/variables.ts'
import { type Config, type Environment, readConfig } from '../../src/config.ts'
import { formatSigningKey } from '../../src/domain/evidence/noteKeys.ts'

const minimal = { DATABASE_URL: 'postgres://app:hunter2@db.example:5432/log' }

function configOf(env: Environment): Config {
  const result = readConfig({ ...minimal, ...env })
  if (!result.ok) throw new Error(result.problems.join('\n'))
  return result.config
}

function problemsOf(env: Environment): readonly string[] {
  const result = readConfig({ ...minimal, ...env })
  return result.ok ? [] : result.problems
}

describe('readConfig', () => {
  test('needs only DATABASE_URL and has the documented defaults for the rest', () => {
    const config = configOf({})
    expect(config.kafka).toEqual({
      brokers: ['kafka:9092'],
      topics: ['events'],
      groupId: 'streaming-ingest',
      clientId: 'streaming-ingest',
      sessionTimeoutMs: 10_000,
      fetchMaxBytes: 2_097_152,
      tls: null,
      sasl: null,
    })
    expect(config.ingest).toMatchObject({ batchMode: false, batchSize: 100, dedupWindowOffsets: 10_000_000n })
    expect(config.http).toMatchObject({ host: '127.0.0.1', port: 8080, metricsPort: 0 })
    expect(config.temporal).toMatchObject({ address: 'localhost:7233', namespace: 'default', tls: null })
    expect(config.replay.createTargets).toBe(true)
  })

  test('splits lists, trims, drops repeats and empty parts', () => {
    const config = configOf({ KAFKA_BROKERS: ' a:1, [::1]:2 ,a:1,', KAFKA_TOPICS: 'events,audit.log' })
    expect(config.kafka.brokers).toEqual(['a:1', '[::1]:2'])
    expect(config.kafka.topics).toEqual(['events', 'audit.log'])
  })

  test('takes an empty variable as not set', () => {
    expect(configOf({ PORT: '', KAFKA_TOPICS: '  ', BATCH_MODE: '' }).http.port).toBe(8080)
    expect(problemsOf({ DATABASE_URL: '' })).toEqual([expect.stringMatching(/^DATABASE_URL must be set/)])
  })

  test('keeps a password as it is, blanks included', () => {
    const sasl = configOf({
      KAFKA_SASL_MECHANISM: 'plain',
      KAFKA_SASL_USERNAME: 'u',
      KAFKA_SASL_PASSWORD: ' pw ',
    }).kafka.sasl
    expect(sasl).toEqual({ mechanism: 'plain', username: 'u', password: ' pw ' })
  })

  test('gives an object that nobody can change', () => {
    const config = configOf({})
    expect(() => Object.assign(config.http, { port: 1 })).toThrow(TypeError)
    expect(() => (config.kafka.topics as string[]).push('x')).toThrow(TypeError)
  })

  test.each([
    ['KAFKA_BROKERS', 'broker-without-port'],
    ['KAFKA_BROKERS', 'a:0'],
    ['KAFKA_BROKERS', 'http://a:9092'],
    ['KAFKA_BROKERS', ','],
    ['KAFKA_TOPICS', 'no spaces'],
    ['KAFKA_TOPICS', '..'],
    ['KAFKA_TOPICS', 'x'.repeat(250)],
    ['KAFKA_SESSION_TIMEOUT_MS', '10s'],
    ['KAFKA_SASL_MECHANISM', 'oauthbearer'],
    ['KAFKA_TLS', 'maybe'],
    ['DATABASE_URL', 'mysql://u:secretpw@h/db'],
    ['DATABASE_URL', 'postgres://u:sec#ret@h'],
    ['DATABASE_URL', 'secretpw'],
    ['DATABASE_ADMIN_URL', 'secretpw'],
    ['DATABASE_POOL_SIZE', '0'],
    ['BATCH_MODE', '2'],
    ['BATCH_SIZE', '0'],
    ['BATCH_SIZE', '-5'],
    ['BATCH_SIZE', '1.5'],
    ['BATCH_SIZE', '1e3'],
    ['DEDUP_WINDOW_OFFSETS', '99999999999999999999'],
    ['PORT', '65536'],
    ['PORT', '0x50'],
    ['METRICS_PORT', 'none'],
    ['TEMPORAL_ADDRESS', 'localhost'],
    ['LOG_LEVEL', 'verbose'],
    ['API_ALLOWED_HOSTS', 'https://x.example'],
  ])('names %s when it is %j and does not repeat the value', (name, value) => {
    const problems = problemsOf({ [name]: value })
    expect(problems).toHaveLength(1)
    expect(problems[0]).toMatch(new RegExp(`^${name} must `))
    expect(problems[0]).not.toContain('\n')
    if (value.length > 3) expect(problems[0]).not.toContain(value)
  })

  test('lists every problem at once, those between variables too', () => {
    const problems = problemsOf({
      PORT: 'x',
      DATABASE_URL: '',
      KAFKA_SASL_USERNAME: 'only-this',
      KAFKA_TLS_CA_FILE: '/ca.pem',
      TEMPORAL_API_KEY: 'secret-key',
    })
    expect(problems).toHaveLength(5)
    expect(problems.join('\n')).not.toMatch(/secret-key|only-this/)
  })

  test('reads certificates and says which file cannot be read', () => {
    const readFile = (path: string): string => {
      if (path === '/ca.pem') return 'CA'
      throw Object.assign(new Error(`ENOENT ${path}`), { code: 'ENOENT' })
    }
    const good = readConfig({ ...minimal, KAFKA_TLS: 'true', KAFKA_TLS_CA_FILE: '/ca.pem' }, readFile)
    expect(good.ok && good.config.kafka.tls).toEqual({ ca: 'CA' })
    const bad = readConfig({ ...minimal, TEMPORAL_TLS: 'true', TEMPORAL_TLS_CA_FILE: '/no.pem' }, readFile)
    expect(!bad.ok && bad.problems).toEqual([
      'TEMPORAL_TLS_CA_FILE names a file that cannot be read (ENOENT)',
    ])
    const half = readConfig({ ...minimal, KAFKA_TLS: 'true', KAFKA_TLS_CERT_FILE: '/ca.pem' }, readFile)
    expect(!half.ok && half.problems).toEqual([
      'KAFKA_TLS_CERT_FILE and KAFKA_TLS_KEY_FILE must be given together',
    ])
  })
})

describe('signing keys', () => {
  const [key, next, other] = [
    formatSigningKey('example.com/ingest', Buffer.alloc(32, 1)),
    formatSigningKey('example.com/ingest', Buffer.alloc(32, 2)),
    formatSigningKey('example.org', Buffer.alloc(32, 3)),
  ]
  const keysOf = (env: Environment) => configOf(env).signing.keys.map(({ verifierKey }) => verifierKey.keyId)

  test('are none by default, and the installation has a name all the same', () => {
    expect(configOf({}).signing).toEqual({
      instanceName: 'streaming-ingest',
      keys: [],
      overlapMs: 604_800_000,
    })
    expect(configOf({ INSTANCE_NAME: 'example.com/a' }).signing.instanceName).toBe('example.com/a')
  })

  test('come from variables or from files, and bring the name', () => {
    const { signing } = configOf({ CHECKPOINT_SIGNING_KEY: key, CHECKPOINT_NEXT_SIGNING_KEY: next })
    expect(signing.instanceName).toBe('example.com/ingest')
    expect(signing.keys).toHaveLength(2)
    const readFile = (path: string): string => `${path === '/key' ? key : next}\n`
    const env = { CHECKPOINT_SIGNING_KEY_FILE: '/key', CHECKPOINT_NEXT_SIGNING_KEY_FILE: '/next' }
    const read = readConfig({ ...minimal, ...env }, readFile)
    expect(read.ok && read.config.signing.keys.map(({ verifierKey }) => verifierKey.keyId)).toEqual(
      keysOf({ CHECKPOINT_SIGNING_KEY: key, CHECKPOINT_NEXT_SIGNING_KEY: next }),
    )
    expect(JSON.stringify(read.ok && read.config.signing)).not.toContain(key.split('+').at(-1))
  })

  test.each<[Environment, RegExp]>([
    [{ CHECKPOINT_SIGNING_KEY: 'secret-key' }, /^CHECKPOINT_SIGNING_KEY holds no private key/],
    [{ CHECKPOINT_SIGNING_KEY: `${key}x` }, /^CHECKPOINT_SIGNING_KEY holds no private key/],
    [
      { CHECKPOINT_SIGNING_KEY_FILE: '/no/such/file' },
      /^CHECKPOINT_SIGNING_KEY_FILE .* cannot be read \(ENOENT\)/,
    ],
    [{ CHECKPOINT_SIGNING_KEY: key, CHECKPOINT_SIGNING_KEY_FILE: '/f' }, /must not both be given/],
    [{ CHECKPOINT_NEXT_SIGNING_KEY: next }, /needs CHECKPOINT_SIGNING_KEY/],
    [{ CHECKPOINT_SIGNING_KEY: key, CHECKPOINT_NEXT_SIGNING_KEY: key }, /is the same key/],
    [{ CHECKPOINT_SIGNING_KEY: key, CHECKPOINT_NEXT_SIGNING_KEY: other }, /has another name/],
    [{ CHECKPOINT_SIGNING_KEY: key, INSTANCE_NAME: 'example.org' }, /^INSTANCE_NAME is not the name/],
    [{ INSTANCE_NAME: '/a b' }, /^INSTANCE_NAME must be a name/],
    [{ CHECKPOINT_KEY_OVERLAP_HOURS: '-1' }, /^CHECKPOINT_KEY_OVERLAP_HOURS must/],
  ])('%# are refused with one problem that holds no part of a key', (env, problem) => {
    const problems = problemsOf(env)
    expect(problems).toEqual([expect.stringMatching(problem)])
    expect(problems.join()).not.toMatch(/secret-key|PRIVATE|AQEB|AgIC/)
  })
})

describe('.env.example', () => {
  const text = readFileSync(new URL('../../.env.example', import.meta.url), 'utf8')
  const example: Record<string, string | undefined> = parseEnv(text)

  test('names every variable of the schema and no other', () => {
    expect(Object.keys(example).sort()).toEqual([...variableNames, ...cliVariableNames].sort())
  })

  test('shows the defaults', () => {
    const shown = readConfig(example)
    const defaults = readConfig({ DATABASE_URL: example['DATABASE_URL'] })
    expect(shown).toEqual(defaults)
    expect(shown.ok).toBe(true)
  })

  test('explains every variable', () => {
    const lines = text.split('\n')
    for (const name of Object.keys(example)) {
      const at = lines.findIndex((line) => line.startsWith(`${name}=`))
      const block = lines.slice(0, at).reverse()
      const comment = block.find((line) => !/^[A-Z0-9_]+=/.test(line))
      expect(comment, name).toMatch(/^# /)
    }
  })
})

describe('places outside the database', () => {
  test('are none, or those of NOTE_PLACES with the credentials of buckets', () => {
    expect(configOf({}).places).toMatchObject({ notes: [], s3Credentials: null })
    const { places } = configOf({
      NOTE_PLACES: 'file:///notes,s3://bucket/notes?region=eu-1',
      S3_ACCESS_KEY_ID: 'id',
      S3_SECRET_ACCESS_KEY: 'secret',
    })
    expect(places.notes.map(({ name }) => name)).toEqual(['file:///notes', 's3://bucket/notes'])
    expect(places.s3Credentials).toEqual({ accessKeyId: 'id', secretAccessKey: 'secret' })
    const read = readConfig(
      { ...minimal, S3_ACCESS_KEY_ID: 'id', S3_SECRET_ACCESS_KEY_FILE: '/secret' },
      () => 'from a file\n',
    )
    expect(read.ok && read.config.places.s3Credentials?.secretAccessKey).toBe('from a file')
  })

  test('that are wrong are listed by their number, like everything else that is', () => {
    const problems = problemsOf({
      NOTE_PLACES: 'file:///notes,s3://id:hunter2@bucket/x,gopher://x',
      S3_SECRET_ACCESS_KEY: 'hunter2',
      PORT: 'x',
    })
    expect(problems).toEqual([
      expect.stringMatching(/^PORT /),
      expect.stringMatching(/^NOTE_PLACES entry 2 must not hold credentials/),
      expect.stringMatching(/^NOTE_PLACES entry 3 must begin with/),
      expect.stringMatching(/^S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY or its file must be given together/),
    ])
    expect(problems.join()).not.toContain('hunter2')
    const both = { S3_SECRET_ACCESS_KEY: 'a', S3_SECRET_ACCESS_KEY_FILE: '/b', S3_ACCESS_KEY_ID: 'c' }
    expect(problemsOf(both)).toEqual([expect.stringContaining('must not both be given')])
  })
})
