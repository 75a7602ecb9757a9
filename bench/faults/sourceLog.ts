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
}

const patienceMs = 120_000

/** A topic with so many records, all of them ingested and ingest stopped: what replays begin with. */
export async function makeSourceLog(
  stage: Stage,
  { partitions, records, recordsPerBatch = 100, env = {} }: SourceLogOptions,
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
    await load.produceBatches(Math.ceil(records / recordsPerBatch))
  } finally {
    await load.stop()
  }
  const score = load.score()
  await stage.watch(topic).untilLogged(score.produced, roles.waiting('the log to be made', patienceMs))
  await roles.stop(ingest)
  return { topic, score }
}
