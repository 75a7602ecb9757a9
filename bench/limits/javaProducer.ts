import { join } from 'node:path'
import { runCommand } from '../../stack/command.ts'

const limitMs = 5 * 60_000

export interface ProducerRun {
  readonly classpath: string
  readonly brokers: string
  readonly topic: string
  readonly transactionalId: string
  readonly records: number
}

/** Records per second of Kafka's own performance tool with transactions: the limit of any replay on this machine. */
export async function measureJavaProducer(run: ProducerRun): Promise<number> {
  const home = process.env['JAVA_HOME'] ?? ''
  const args = [
    ...['-Xmx1g', '-cp', run.classpath, 'org.apache.kafka.tools.ProducerPerformance'],
    ...['--topic', run.topic, '--num-records', String(run.records), '--record-size', '370'],
    ...['--throughput', '-1', '--transactional-id', run.transactionalId, '--transaction-duration-ms', '100'],
    ...['--producer-props', `bootstrap.servers=${run.brokers}`, 'acks=all', 'batch.size=262144'],
    ...['linger.ms=5', 'buffer.memory=134217728'],
  ]
  const { ok, output } = await runCommand(home === '' ? 'java' : join(home, 'bin', 'java'), args, { limitMs })
  const rate = producerRate(output)
  if (!ok || rate === null) throw new Error(`Kafka's ProducerPerformance failed:\n${output.slice(-2_000)}`)
  return rate
}

/** The last rate that the tool prints is the one over the whole run. */
export function producerRate(output: string): number | null {
  const rates = [...output.matchAll(/records sent, ([\d.]+) records\/sec/g)]
  const last = rates.at(-1)?.[1]
  return last === undefined ? null : Number(last)
}
