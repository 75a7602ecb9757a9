import type { Stack } from './servers.ts'
import { knownTemporal } from './temporal-cli.ts'

/** What tests find in their environment; read by test/support/servers.ts. */
export async function testEnvironment(stack: Stack): Promise<Record<string, string>> {
  return {
    KAFKA_BROKERS: stack.env.KAFKA_BROKERS,
    DATABASE_ADMIN_URL: stack.env.DATABASE_ADMIN_URL,
    TEMPORAL_ADDRESS: stack.env.TEMPORAL_ADDRESS,
    TEST_KAFKA_CLASSPATH: stack.kafkaClasspath ?? '',
    TEST_TEMPORAL_CLI: (await knownTemporal()) ?? '',
  }
}
