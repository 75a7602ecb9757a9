import type { Score } from './contract.ts'
import { SteadyLoad } from './load.ts'
import type { Environment } from './roles.ts'
import type { Stage } from './stage.ts'

export interface SourceLog {
  readonly topic: string
  readonly score: Score
}

export interface SourceLogOptions {
  readonly partitions: number
  readonly records: number
  readonly recordsPerBatch?: number
  readonly env?: Environment
  /** Produces what the scenario needs beside the usual records, when three quarters of these are there. */
  readonly add?: (load: SteadyLoad) => Promise<void>
}

const patienceMs = 120_000

/** A topic with so many records, all of them ingested and ingest stopped: what replays begin with. */
export async function makeSourceLog(
  stage: Stage,
  { partitions, records, recordsPerBatch = 100, env = {}, add }: SourceLogOptions,
): Promise<SourceLog> {
  const { world, kafka, roles, context } = stage
  const topic = await world.createTopic('source', partitions)
  const load = new SteadyLoad({
    brokers: kafka.brokers,
    topic,
    partitions,
    recordsPerBatch,
    seed: context.random.next(),
    signal: context.signal,
  })
  context.say(`making a log of ${records} records`)
  const ingest = await roles.start('ingest', {
    ...stage.directEnv,
    KAFKA_TOPICS: topic,
    BATCH_MODE: 'true',
    ...env,
  })
  try {
    const batches = Math.ceil(records / recordsPerBatch)
    const later = add === undefined ? 0 : Math.floor(batches / 4)
    await load.produceBatches(batches - later)
    await add?.(load)
    await load.produceBatches(later)
  } finally {
    await load.stop()
  }
  const score = load.score()
  await stage.watch(topic).untilLogged(score.produced, roles.waiting('the log to be made', patienceMs))
  await roles.stop(ingest)
  return { topic, score }
}
