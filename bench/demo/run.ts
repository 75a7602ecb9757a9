import { findJavaReader } from '../judge/javaReader.ts'
import { judge } from '../judge/judge.ts'
import { createKafkajsReader } from '../judge/kafkajsReader.ts'
import { checkLog } from '../judge/logCheck.ts'
import { type Api, createApi } from '../run/api.ts'
import { RateMeter } from '../run/rate.ts'
import type { RoleProcess } from '../run/roles.ts'
import { formatCount, formatRate, formatSeconds, type Say } from '../run/say.ts'
import { countLogged, watchUntil } from '../run/watch.ts'
import { type World, withClient } from '../run/world.ts'
import { type Filled, fillTopic } from '../source/fill.ts'
import { replayWithKill } from './replayWithKill.ts'
import type { DemoResult } from './report.ts'

const partitions = 4
const seed = 20_261_123
/** From here on a replay in pages of the usual size takes a second or more. */
const fullSize = 200_000

export interface DemoRun {
  readonly world: World
  readonly kafkaClasspath: string | null
  readonly events: number
  readonly say: Say
  readonly signal: AbortSignal
}

export interface DemoOutcome {
  readonly result: DemoResult
  readonly apiUrl: string
  /** What the roles were started with, beside the servers' addresses. */
  readonly roleEnv: Readonly<Record<string, string>>
}

/** Produce, ingest, checkpoint, replay with a killed worker, verify. */
export async function runDemo(run: DemoRun): Promise<DemoOutcome> {
  const { world, say, signal } = run
  const started = performance.now()
  say.line(`migrating a database of its own (everything made here is named ${world.name}) …`)
  const database = await world.createDatabase()
  const source = await world.createTopic('source', partitions)
  const target = world.topicName('target')
  const roleEnv = roleEnvironment(run, database.appUrl, source)

  const filled = await produce(run, source)
  const ingestEventsPerSecond = await ingest(run, roleEnv, database.ownerUrl, filled)

  say.line('starting the API and a replay worker …')
  const startWorker = (): Promise<RoleProcess> => world.startRole('worker', roleEnv)
  const [worker, apiRole] = await Promise.all([startWorker(), world.startRole('api', roleEnv)])
  await Promise.all([worker.ready(signal), apiRole.ready(signal)])
  const api = createApi(apiRole.url, 'demo')
  const checkpoint = await takeCheckpoint(api, source, say)
  const replaying = { world, api, topic: source, target, partitions, startWorker, say, signal }
  const killed = await replayWithKill({ ...replaying, expected: filled.accepted }, worker)
  say.line(`replayed ${formatCount(filled.accepted)} events at ${formatRate(killed.eventsPerSecond)}`)

  const reader = (await findJavaReader(run.kafkaClasspath)) ?? createKafkajsReader()
  say.line(`verifying with ${reader.name} and SQL …`)
  const topics = { brokers: world.env.KAFKA_BROKERS, source, target }
  const [judgement, log] = await Promise.all([
    judge(reader, topics, filled.tables, signal),
    withClient(database.ownerUrl, (client) => checkLog(client, source, filled.tables)),
  ])
  const seconds = (performance.now() - started) / 1000
  const result = { filled, ingestEventsPerSecond, checkpoint, killed, log, judgement, seconds }
  return { result, apiUrl: apiRole.url, roleEnv }
}

/** Names of its own, so that the run meets nobody else's work on servers that others use too. */
function roleEnvironment({ world, events }: DemoRun, appUrl: string, source: string): Record<string, string> {
  const env = {
    DATABASE_URL: appUrl,
    KAFKA_TOPICS: source,
    KAFKA_GROUP_ID: world.name,
    KAFKA_CLIENT_ID: world.name,
    TEMPORAL_TASK_QUEUE: world.name,
    BATCH_MODE: 'true',
  }
  if (events >= fullSize) return env
  // A small demo in pages of the usual size would be over before anybody could kill anything in the middle: a page costs
  // a transaction, some milliseconds, so that a hundred of them leave time on the fastest machine.
  return { ...env, REPLAY_PAGE_EVENTS: String(Math.round(events / partitions / 100)) }
}

async function produce({ world, events, say, signal }: DemoRun, source: string): Promise<Filled> {
  const onProgress = (records: number): void =>
    say.progress(`producing … ${formatCount(records)} of ${formatCount(events)}`)
  const options = { seed, events, partitions, recordsPerBatch: 500 } as const
  const mix = { badPercent: 1, duplicatePercent: 1, compression: true } as const
  const filled = await fillTopic(world.admin, source, { ...options, ...mix }, onProgress, signal)
  say.line(`produced ${formatCount(filled.produced)} records in ${formatSeconds(filled.seconds)}`)
  return filled
}

/** Ingest starts when all is produced, so that what is measured is ingest alone. */
async function ingest(
  { world, say, signal }: DemoRun,
  roleEnv: Readonly<Record<string, string>>,
  ownerUrl: string,
  filled: Filled,
): Promise<number> {
  say.line('starting ingest …')
  const role = await world.startRole('ingest', roleEnv)
  const meter = new RateMeter()
  await withClient(ownerUrl, (client) =>
    watchUntil(() => countLogged(client), filled.produced, {
      everyMs: 25,
      patienceMs: 60_000,
      what: 'ingest',
      signal,
      check: () => role.check(),
      onSample: (sample) => {
        meter.add(sample)
        say.progress(`ingesting … ${formatCount(sample.count)} of ${formatCount(filled.produced)}`)
      },
    }),
  )
  say.line(`ingested ${formatCount(filled.produced)} records at ${formatRate(meter.perSecond())}`)
  return meter.perSecond()
}

async function takeCheckpoint(api: Api, topic: string, say: Say): Promise<{ id: string; leaves: number }> {
  const { id, positions } = await api.createCheckpoint({ topic })
  const leaves = positions.reduce((sum, { size }) => sum + Number(size), 0)
  say.line(`checkpoint ${id} covers ${formatCount(leaves)} records`)
  return { id, leaves }
}
