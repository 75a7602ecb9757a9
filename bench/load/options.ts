export interface LoadOptions {
  readonly brokers: readonly string[]
  readonly topic: string
  readonly eventsPerSecond: number
  readonly seconds: number
  readonly batchSize: number
  /** Where to see what was committed to the log; by the group's offset in Kafka when neither is given. */
  readonly databaseUrl: string | null
  readonly apiUrl: string | null
  readonly groupId: string
}

type Environment = Readonly<Record<string, string | undefined>>

/**
 * Reads the load test's variables; `stack` is what `npm run dev` or `npm run stack -- up` left in .stack/env, used for
 * addresses that the environment does not give. Throws TypeError naming every variable that is wrong.
 */
export function readLoadOptions(env: Environment, stack: Environment | null): LoadOptions {
  const problems: string[] = []
  const given = (name: string): string | undefined => env[name]?.trim() || undefined
  const count = (name: string, fallback: number, max: number): number => {
    const text = given(name) ?? String(fallback)
    const value = /^\d{1,9}$/.test(text) ? Number(text) : 0
    if (value < 1 || value > max) problems.push(`${name} must be a whole number from 1 to ${max}`)
    return value
  }
  const brokers = given('KAFKA_BROKERS') ?? stack?.['KAFKA_BROKERS'] ?? 'localhost:9092'
  // The stack's database belongs to the stack's broker: no use beside another one.
  const stackDatabase = brokers === stack?.['KAFKA_BROKERS'] ? stack['DATABASE_URL'] : undefined
  const apiUrl = given('API_URL') ?? null
  // Whoever names an API or a group means to look there.
  const looksElsewhere = apiUrl !== null || given('KAFKA_GROUP_ID') !== undefined
  const options = {
    brokers: brokers.split(',').map((broker) => broker.trim()),
    topic: given('KAFKA_TOPIC') ?? 'events',
    eventsPerSecond: count('TARGET_THROUGHPUT', 10_000, 1_000_000),
    seconds: count('DURATION', 60, 86_400),
    batchSize: count('BATCH_SIZE', 100, 10_000),
    databaseUrl: given('DATABASE_URL') ?? (looksElsewhere ? null : (stackDatabase ?? null)),
    apiUrl,
    groupId: given('KAFKA_GROUP_ID') ?? 'streaming-ingest',
  }
  if (problems.length > 0) throw new TypeError(problems.join('\n'))
  return options
}
