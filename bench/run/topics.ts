import { setTimeout as sleep } from 'node:timers/promises'
import kafkajs, { type Admin } from 'kafkajs'

const limitMs = 30_000
const askAgainMs = 20

/** What a broker says of a topic that was created a moment ago. */
const stillBeingMade: ReadonlySet<string> = new Set([
  'UNKNOWN_TOPIC_OR_PARTITION',
  'LEADER_NOT_AVAILABLE',
  'NOT_LEADER_FOR_PARTITION',
])

/** True for an error that goes away by itself while a topic is being made; kafkajs may have tried again for seconds. */
export function isStillBeingMade(error: unknown): boolean {
  if (error instanceof kafkajs.KafkaJSNumberOfRetriesExceeded) return isStillBeingMade(error.cause)
  return error instanceof kafkajs.KafkaJSProtocolError && stillBeingMade.has(error.type)
}

/** Creates a topic and returns when every partition answers; kafkajs' own wait for leaders fails on a busy broker. */
export async function createTopic(
  admin: Admin,
  topic: string,
  partitions: number,
  config: Readonly<Record<string, string>>,
): Promise<void> {
  const configEntries = Object.entries(config).map(([name, value]) => ({ name, value }))
  await admin.createTopics({
    waitForLeaders: false,
    topics: [{ topic, numPartitions: partitions, configEntries }],
  })
  const deadline = performance.now() + limitMs
  for (;;) {
    if ((await countPartitions(admin, topic)) === partitions) return
    if (performance.now() > deadline) throw new Error(`the topic ${topic} does not get its leaders`)
    await sleep(askAgainMs)
  }
}

/** Partitions whose leaders answer. */
async function countPartitions(admin: Admin, topic: string): Promise<number> {
  try {
    return (await admin.fetchTopicOffsets(topic)).length
  } catch (error) {
    if (isStillBeingMade(error)) return 0
    throw error
  }
}
