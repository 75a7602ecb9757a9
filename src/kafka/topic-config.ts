import type { TopicConfig } from '../ports.ts'
import { KafkaFault } from './faults.ts'

const unlimited = 9_223_372_036_854_775_807n

/** Kafka's configuration entries as the values that replay plans look at. */
export function readTopicConfig(
  entries: readonly { readonly configName: string; readonly configValue: string | null }[],
): TopicConfig {
  const values = new Map(entries.map(({ configName, configValue }) => [configName, configValue]))
  const text = (name: string): string => {
    const value = values.get(name)
    if (value === undefined || value === null) throw new KafkaFault(`the broker does not tell ${name}`)
    return value
  }
  // Brokers before 3.6 have one limit for both directions.
  const difference = values.get('message.timestamp.difference.max.ms') ?? String(unlimited)
  const limit = (name: string): bigint => BigInt(values.get(name) ?? difference)
  return {
    cleanupPolicy: text('cleanup.policy'),
    retentionMs: BigInt(text('retention.ms')),
    retentionBytes: BigInt(text('retention.bytes')),
    maxMessageBytes: Number(text('max.message.bytes')),
    timestampType: text('message.timestamp.type') === 'LogAppendTime' ? 'LogAppendTime' : 'CreateTime',
    timestampAfterMaxMs: limit('message.timestamp.after.max.ms'),
    timestampBeforeMaxMs: limit('message.timestamp.before.max.ms'),
  }
}
