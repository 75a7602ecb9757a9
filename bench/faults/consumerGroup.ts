import kafkajs, { type Admin } from 'kafkajs'
import { until, type Waiting } from './waiting.ts'

/** A consumer group as its coordinator sees it, asked directly. */
export class ConsumerGroup {
  readonly #admin: Admin
  readonly #name: string

  constructor(admin: Admin, name: string) {
    this.#admin = admin
    this.#name = name
  }

  /** Client ids, sorted; null while the group is being shared out, or when nobody can tell. */
  async members(): Promise<readonly string[] | null> {
    try {
      const { groups } = await this.#admin.describeGroups([this.#name])
      const [group] = groups
      if (group === undefined || !['Stable', 'Empty', 'Dead'].includes(group.state)) return null
      return group.members.map(({ clientId }) => clientId).sort()
    } catch (error) {
      if (error instanceof kafkajs.KafkaJSError) return null
      throw error
    }
  }

  /** Resolves when these and no others share the partitions. */
  async untilMembers(clientIds: readonly string[], waiting: Omit<Waiting, 'what'>): Promise<void> {
    const wanted = [...clientIds].sort().join()
    const what = `the group to consist of ${wanted === '' ? 'nobody' : wanted}`
    let last: readonly string[] | null = null
    await until(
      async () => {
        last = await this.members()
        return last?.join() === wanted ? true : null
      },
      {
        ...waiting,
        what,
        explain: () => `it is ${last?.join() ?? 'unsettled'}\n${waiting.explain?.() ?? ''}`,
      },
    )
  }

  /** What is committed for the topic, by partition; −1 where nothing is. */
  async offsets(topic: string): Promise<ReadonlyMap<number, number>> {
    const [found] = await this.#admin.fetchOffsets({ groupId: this.#name, topics: [topic] })
    return new Map(found?.partitions.map(({ partition, offset }) => [partition, Number(offset)]))
  }
}
