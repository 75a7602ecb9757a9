import { type logCreator, logLevel } from 'kafkajs'

/** Where log lines go; pino fits. */
export interface KafkaLog {
  debug(fields: Record<string, unknown>, message: string): void
  warn(fields: Record<string, unknown>, message: string): void
}

/** Fields of kafkajs' log entries that can hold no part of a message. */
const safeFields = [
  'broker',
  'clientId',
  'groupId',
  'memberId',
  'topic',
  'partition',
  'retryCount',
  'retryTime',
]

/** kafkajs puts whole messages into some texts as JSON: nothing from the first bracket on is kept, and 200 characters at most. */
const safeText = (text: unknown): string => (/^[^{[]*/.exec(String(text))?.[0] ?? '').trim().slice(0, 200)

/** These report each failed attempt although whoever asked gets the error too. */
const toldElsewhere = new Set(['Connection', 'BrokerPool', 'Cluster', 'Consumer'])

/**
 * Takes kafkajs' log lines over, without stacks, error objects or payloads. What kafkajs calls an error is a warning here:
 * whoever uses the client tries again or throws.
 */
export function logBridge(log: KafkaLog, isSilent: () => boolean): logCreator {
  return () =>
    ({ namespace, level, log: entry }) => {
      if (isSilent()) return
      const fields: Record<string, unknown> = { from: `kafkajs ${namespace}` }
      for (const name of safeFields) {
        const value: unknown = entry[name]
        if (typeof value === 'string' || typeof value === 'number') fields[name] = value
      }
      const isNews = level <= logLevel.WARN && !toldElsewhere.has(namespace)
      if (isNews) log.warn(fields, safeText(entry.message))
      else log.debug(fields, safeText(entry.message))
    }
}
