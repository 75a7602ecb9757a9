/** Addresses of the real servers that the tests run against; set by global-setup. */
export interface TestServers {
  readonly kafkaBrokers: string
  readonly databaseAdminUrl: string
  readonly temporalAddress: string
}

export function testServers(): TestServers {
  const need = (name: string): string => {
    const value = process.env[name]
    if (value === undefined) throw new Error(`${name} is not set: run the tests with npm test`)
    return value
  }
  return {
    kafkaBrokers: need('KAFKA_BROKERS'),
    databaseAdminUrl: need('DATABASE_ADMIN_URL'),
    temporalAddress: need('TEMPORAL_ADDRESS'),
  }
}
