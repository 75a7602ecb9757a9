import type { RoleProcess } from '../run/roles.ts'
import type { Score } from './contract.ts'
import { batchSettings } from './ingestUnderLoad.ts'
import { type LoadOptions, SteadyLoad } from './load.ts'
import type { LogWatch, Sizes } from './logWatch.ts'
import type { Environment } from './roles.ts'
import { SourceLogs } from './sourceLogs.ts'
import type { Stage } from './stage.ts'
import type { Waiting } from './waiting.ts'

export interface LoadedTopicOptions {
  readonly partitions: number
  /** Of the topic. */
  readonly config?: Readonly<Record<string, string>>
  readonly load?: Partial<LoadOptions>
}

/** A source topic, its load and its logs, for scenarios that do something to the source itself. */
export class LoadedTopic {
  readonly name: string
  readonly partitions: number
  readonly logs: SourceLogs
  readonly watch: LogWatch
  readonly #stage: Stage
  readonly #options: Partial<LoadOptions>
  #load: SteadyLoad

  private constructor(stage: Stage, name: string, { partitions, load = {} }: LoadedTopicOptions) {
    this.#stage = stage
    this.name = name
    this.partitions = partitions
    this.logs = new SourceLogs(stage.ownerUrl, name)
    this.watch = stage.watch(name)
    this.#options = load
    this.#load = this.#newLoad()
  }

  static async create(stage: Stage, suffix: string, options: LoadedTopicOptions): Promise<LoadedTopic> {
    const { partitions, config } = options
    return new LoadedTopic(stage, await stage.world.createTopic(suffix, partitions, config), options)
  }

  /** A topic that does not exist yet, or not for sure: its load waits for it. */
  static named(stage: Stage, suffix: string, options: LoadedTopicOptions): LoadedTopic {
    return new LoadedTopic(stage, stage.world.topicName(suffix), options)
  }

  get load(): SteadyLoad {
    return this.#load
  }

  score(): Score {
    return this.#load.score()
  }

  /** For a topic that was made again: another producer, other records, a score of its own. Ends the load before. */
  async beginAgain(): Promise<void> {
    await this.#load.stop()
    this.#load = this.#newLoad()
  }

  /** Resolves when every partition has grown beyond `before`. */
  untilAllGrow(before: Sizes, waiting: Waiting): Promise<void> {
    return this.watch.untilAllGrow(before, this.partitions, waiting)
  }

  /** Pauses the load; resolves when the newest logs go on exactly behind everything that was produced. */
  async untilTaken(waiting: Waiting): Promise<void> {
    await this.#load.pause()
    await this.logs.untilAt(this.score().ends, waiting)
  }

  #newLoad(): SteadyLoad {
    const { kafka, context } = this.#stage
    return new SteadyLoad({
      brokers: kafka.brokers,
      topic: this.name,
      partitions: this.partitions,
      seed: context.random.next(),
      signal: context.signal,
      ...this.#options,
    })
  }
}

/** An ingest process of these topics, with settings that are drawn for it. */
export function startIngest(
  { context, roles }: Stage,
  topics: readonly LoadedTopic[],
  env: Environment = {},
): Promise<RoleProcess> {
  const names = topics.map(({ name }) => name).join()
  return roles.start('ingest', { KAFKA_TOPICS: names, ...context.random.pick(batchSettings), ...env })
}
