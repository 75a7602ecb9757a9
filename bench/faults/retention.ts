import { setTimeout as sleep } from 'node:timers/promises'
import type { RoleProcess } from '../run/roles.ts'
import type { LoadedTopic } from './loadedTopic.ts'
import type { Stage } from './stage.ts'
import { until, type Waiting } from './waiting.ts'

/** What keeps a reader behind while records are deleted in front of it. */
export interface Hindrance {
  readonly name: string
  /** Whether the process reads nothing at all meanwhile. */
  readonly isStill: boolean
  /** Records that each partition has beyond its log before something is deleted. */
  readonly lag: number
  begin(stage: Stage, role: RoleProcess): Promise<void> | void
  end(stage: Stage, role: RoleProcess): void
}

/** What comes back to Kafka and through the passage is this late: a fetch brings little, and each takes two of them. */
const slownessMs = 700

export const hindrances = {
  stopped: {
    name: 'stopped',
    isStill: true,
    lag: 200,
    begin: async ({ roles }, role) => {
      await roles.stop(role)
    },
    end: () => undefined,
  },
  killed: {
    name: 'killed',
    isStill: true,
    lag: 200,
    begin: ({ roles }, role) => roles.kill(role),
    end: () => undefined,
  },
  frozen: {
    name: 'frozen',
    isStill: true,
    lag: 400,
    begin: (_, role) => role.freeze(),
    end: (_, role) => role.thaw(),
  },
  slow: {
    name: 'slow',
    isStill: false,
    lag: 1_500,
    begin: ({ kafka }) => {
      for (const { passage } of kafka.nodes) passage.delay(slownessMs, 0)
    },
    end: ({ kafka }) => {
      for (const { passage } of kafka.nodes) passage.reset()
    },
  },
} as const satisfies Record<string, Hindrance>

/** Returns by partition where Kafka's log begins now. */
export type Deletion = (stage: Stage, topic: LoadedTopic) => Promise<number[]>

/** DeleteRecords up to some offset between each log and its end, inside a batch more often than not. */
export const deleteRecords: Deletion = async ({ world, context: { random } }, topic) => {
  const { name } = topic
  const nexts = await topic.logs.nextOffsets(topic.partitions)
  const { ends } = topic.score()
  const partitions = nexts.map((next, partition) => {
    const beyond = (ends[partition] ?? 0) - next
    // The later half, which a slow reader has not fetched yet; now and then everything.
    const kept = random.below(4) === 0 ? 0 : random.below(Math.max(1, beyond >> 1))
    return { partition, offset: String(Math.max(next, (ends[partition] ?? 0) - kept)) }
  })
  // Loads the topic's leaders, which deleteTopicRecords looks up without asking for them.
  await world.admin.fetchTopicOffsets(name)
  await world.admin.deleteTopicRecords({ topic: name, partitions })
  return logStarts(world, name)
}

/** The bed's brokers look twice a second for what is older than its time. */
const lookAgainMs = 1_200
const topicResource = 2
const patienceMs = 30_000

/** All records carry timestamps of long ago: whatever is there expires at once. */
export const expire: Deletion = async ({ world, context: { signal }, roles }, { name }) => {
  const before = await logStarts(world, name)
  await setRetention(world, name, '1')
  await until(
    async () =>
      (await logStarts(world, name)).every((start, at) => start > (before[at] ?? 0)) ? true : null,
    roles.waiting('records to expire', patienceMs),
  )
  await setRetention(world, name, '-1')
  // The brokers' last look with the old setting may come after the new one was confirmed.
  await sleep(lookAgainMs, undefined, { signal })
  return logStarts(world, name)
}

const setRetention = ({ admin }: Stage['world'], name: string, value: string): Promise<unknown> =>
  admin.alterConfigs({
    validateOnly: false,
    resources: [{ type: topicResource, name, configEntries: [{ name: 'retention.ms', value }] }],
  })

/** By partition: where Kafka's log begins. */
export async function logStarts({ admin }: Stage['world'], topic: string): Promise<number[]> {
  const bounds = await admin.fetchTopicOffsets(topic)
  return bounds.sort((a, b) => a.partition - b.partition).map(({ low }) => Number(low))
}

/** Resolves when every partition has so many records beyond its log. */
export const untilBehind = (topic: LoadedTopic, lag: number, waiting: Waiting): Promise<true> =>
  until(async () => {
    const nexts = await topic.logs.nextOffsets(topic.partitions)
    const { ends } = topic.score()
    return nexts.every((next, partition) => (ends[partition] ?? 0) - next >= lag) ? true : null
  }, waiting)
