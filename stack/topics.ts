import { createKafkaConnection } from '../src/kafka/connection.ts'
import { createTopicDirectory } from '../src/kafka/topic-directory.ts'
import type { Progress } from './native.ts'

const partitions = 4
const silent = { debug: () => undefined, warn: () => undefined }

/**
 * Makes the topics that the platform reads where they are missing, on a broker that is ours: nobody else would, and
 * topics are not made by themselves there.
 */
export async function createTopics(
  brokers: string,
  topics: readonly string[],
  progress: Progress,
): Promise<void> {
  const connection = createKafkaConnection({
    brokers: brokers.split(','),
    clientId: 'streaming-ingest-stack',
    tls: null,
    sasl: null,
    log: silent,
  })
  const directory = createTopicDirectory(connection)
  try {
    for (const topic of topics) {
      if ((await directory.describe(topic)) !== null) continue
      progress(`creating topic ${topic} with ${partitions} partitions`)
      await directory.create(topic, partitions, {})
    }
  } finally {
    directory.close()
  }
}
