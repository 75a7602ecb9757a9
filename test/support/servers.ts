/** Addresses of the real servers that the tests run against; set by `npm test`, else by global-setup. */
export interface TestServers {
  readonly kafkaBrokers: string
  readonly databaseAdminUrl: string
  readonly temporalAddress: string
  /** `java -cp` of Kafka's broker and tools; null where Java is missing. */
  readonly kafkaClasspath: string | null
  /** The Temporal CLI; null where it is missing. */
  readonly temporalCli: string | null
}

export function testServers(): TestServers {
  const need = (name: string): string => {
    const value = process.env[name] ?? ''
    if (value === '') throw new Error(`${name} is not set: run the tests with npm test`)
    return value
  }
  const optional = (name: string): string | null => process.env[name] || null
  return {
    kafkaBrokers: need('KAFKA_BROKERS'),
    databaseAdminUrl: need('DATABASE_ADMIN_URL'),
    temporalAddress: need('TEMPORAL_ADDRESS'),
    kafkaClasspath: optional('TEST_KAFKA_CLASSPATH'),
    temporalCli: optional('TEST_TEMPORAL_CLI'),
  }
}
