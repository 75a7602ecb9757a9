import { findJavaReader } from '../judge/javaReader.ts'
import { type Judgement, judge } from '../judge/judge.ts'
import { createKafkajsReader } from '../judge/kafkajsReader.ts'
import { type Api, createApi } from '../run/api.ts'
import { median, RateMeter } from '../run/rate.ts'
import type { RoleProcess } from '../run/roles.ts'
import { formatCount, formatRate, type Say } from '../run/say.ts'
import { untilReplayEnded } from '../run/untilEnded.ts'
import { countLogged, offsetCounter, watchUntil } from '../run/watch.ts'
import { type World, withClient } from '../run/world.ts'
import { type Filled, fillTopic } from '../source/fill.ts'
import { Course } from './course.ts'
import type { SoakOptions } from './options.ts'

const seed = 20_261_126
const everyMs = 100
const patienceMs = 120_000
/** Of the start and of the end of a log, taking turns. */
const edgeRounds = 5

export interface SoakRun {
  readonly world: World
  readonly kafkaClasspath: string | null
  readonly options: SoakOptions
  readonly say: Say
  readonly signal: AbortSignal
}

export interface SoakResult {
  readonly filled: Filled
  readonly courses: readonly Course[]
  /** Events per second of replays of the same size at the start and at the end of partition 0's log; medians. */
  readonly edges: { readonly start: number; readonly end: number; readonly logSize: number }
  readonly judgement: Judgement
}

/** Ingest while records arrive, one replay of everything, short replays at both ends of a log, and the judgement. */
export async function runSoak(run: SoakRun): Promise<SoakResult> {
  const { world, options, kafkaClasspath, say, signal } = run
  const database = await world.createDatabase()
  const source = await world.createTopic('source', options.partitions)
  const env = {
    DATABASE_URL: database.appUrl,
    KAFKA_TOPICS: source,
    KAFKA_GROUP_ID: world.name,
    TEMPORAL_TASK_QUEUE: world.name,
    BATCH_MODE: 'true',
    LOG_LEVEL: 'warn',
  }
  const ingest = await world.startRole('ingest', env)
  await ingest.ready(signal)
  const ingestCourse = new Course('ingest', options.events)
  const [filled] = await Promise.all([fill(run, source), taken(run, database.ownerUrl, ingest, ingestCourse)])
  await ingest.stop()
  say.line(`ingested ${formatCount(filled.produced)} records while they were produced`)

  await withClient(database.ownerUrl, (client) => client.query('vacuum analyze'))
  const [worker, apiRole] = await Promise.all([world.startRole('worker', env), world.startRole('api', env)])
  await Promise.all([worker.ready(signal), apiRole.ready(signal)])
  const api = createApi(apiRole.url, 'soak')
  const target = world.topicName('target')
  const replayCourse = new Course('replay', filled.accepted)
  await replayAll(run, api, worker, { source, target, events: filled.accepted, course: replayCourse })
  const edges = await compareEdges(run, api, worker, source, filled)
  const reader = (await findJavaReader(kafkaClasspath)) ?? createKafkajsReader()
  say.line(`reading everything back with ${reader.name} …`)
  const topics = { brokers: world.env.KAFKA_BROKERS, source, target }
  const judgement = await judge(reader, topics, filled.tables, signal)
  return { filled, courses: [ingestCourse, replayCourse], edges, judgement }
}

function fill({ world, options, signal }: SoakRun, source: string): Promise<Filled> {
  const { events, partitions } = options
  const mix = { badPercent: 0, duplicatePercent: 0, compression: false } as const
  const size = { seed, events, partitions, recordsPerBatch: 500 }
  return fillTopic(world.admin, source, { ...size, ...mix }, () => undefined, signal)
}

async function taken(run: SoakRun, ownerUrl: string, role: RoleProcess, course: Course): Promise<void> {
  const { options, say, signal } = run
  await withClient(ownerUrl, (client) =>
    watchUntil(() => countLogged(client), options.events, {
      everyMs,
      patienceMs,
      what: 'ingest',
      signal,
      check: () => role.check(),
      onSample: (sample) => {
        course.see(role, sample)
        say.progress(`ingesting … ${formatCount(sample.count)} of ${formatCount(options.events)}`)
      },
    }),
  )
}

interface WholeReplay {
  readonly source: string
  readonly target: string
  readonly events: number
  readonly course: Course
}

async function replayAll(
  { world, say, signal }: SoakRun,
  api: Api,
  worker: RoleProcess,
  { source, target, events, course }: WholeReplay,
): Promise<void> {
  const { replayId } = await api.startReplay({ topic: source, targetTopic: target })
  await watchUntil(offsetCounter(world.admin, target), events, {
    everyMs,
    patienceMs,
    what: 'replay',
    signal,
    check: () => worker.check(),
    onSample: (sample) => {
      course.see(worker, sample)
      say.progress(`replaying … ${formatCount(Math.min(sample.count, events))} of ${formatCount(events)}`)
    },
  })
  await untilReplayEnded(api, replayId, worker, signal)
  say.line(`replayed ${formatCount(events)} events`)
}

/** Short replays of the first and of the last events of partition 0, taking turns. */
async function compareEdges(
  run: SoakRun,
  api: Api,
  worker: RoleProcess,
  topic: string,
  filled: Filled,
): Promise<SoakResult['edges']> {
  const { options, say } = run
  const logSize = filled.tables[0]?.size ?? 0
  const [start, end]: [number[], number[]] = [[], []]
  for (let round = 1; round <= edgeRounds; round++) {
    const first = { topic, from: 0, to: options.edge, name: `start-${round}` }
    const last = { topic, from: logSize - options.edge, to: logSize, name: `end-${round}` }
    start.push(await replayRange(run, api, worker, first))
    end.push(await replayRange(run, api, worker, last))
    say.line(
      `${formatCount(options.edge)} events at the start of a log ${formatRate(start.at(-1) ?? 0)}, ` +
        `behind ${formatCount(last.from)} others ${formatRate(end.at(-1) ?? 0)}`,
    )
  }
  return { start: median(start), end: median(end), logSize }
}

interface Range {
  readonly topic: string
  readonly from: number
  readonly to: number
  readonly name: string
}

async function replayRange(
  { world, signal }: SoakRun,
  api: Api,
  worker: RoleProcess,
  { topic, from, to, name }: Range,
): Promise<number> {
  const targetTopic = world.topicName(name)
  const meter = new RateMeter()
  const range = { partition: 0, fromOffset: String(from), toOffset: String(to) }
  const { replayId } = await api.startReplay({ topic, targetTopic, ...range })
  await watchUntil(offsetCounter(world.admin, targetTopic), to - from, {
    everyMs: 10,
    patienceMs,
    what: 'a replay of a range',
    signal,
    check: () => worker.check(),
    onSample: (sample) => meter.add(sample),
  })
  await untilReplayEnded(api, replayId, worker, signal)
  return meter.perSecond()
}
