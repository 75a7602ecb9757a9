import { type Api, ApiError } from '../../run/api.ts'
import { carry, makeEvent, type SourceRecord } from '../../source/event.ts'
import { Random } from '../../source/random.ts'
import { RecordBatchEncoder } from '../../source/recordBatch.ts'
import type { Outcome, Scenario } from '../contract.ts'
import { addDamage, noDamage } from '../damage.ts'
import { stopAllInOrder } from '../ingestStop.ts'
import { judgeReplays } from '../judgeReplays.ts'
import { peaksOf } from '../limits/peaks.ts'
import { LoadedTopic, startIngest } from '../loadedTopic.ts'
import { ReplayRuns } from '../replayRuns.ts'
import { Stage } from '../stage.ts'

/** What a broker takes in one batch unless it is told otherwise (max.message.bytes). */
const brokerBytes = 1_048_588
/** MAX_VALUE_BYTES of the platform, as it is by default. */
const valueBytes = 1_048_576
const wideBytes = 4 * 2 ** 20
const patienceMs = 120_000
/** Usual ones, before and behind the large ones of a round. */
const usualBatches = 25

export const limitsValues: Scenario = {
  name: 'limits-values',
  group: 'limits',
  title: "batches of exactly the broker's limit and values of exactly the platform's, and one byte more",
  rounds: { full: 2, short: 0 },
  run: (context) => Stage.with(context, 'limits-values', { temporal: true }, run),
}

async function run(stage: Stage): Promise<Outcome> {
  const { rounds } = stage.context
  const problems: string[] = []
  const notes: string[] = []
  let damage = noDamage
  let [events, faults] = [0, 0]
  for (const width of [brokerBytes, wideBytes]) {
    const outcome = await runOne(stage, width, rounds)
    problems.push(...outcome.problems)
    notes.push(...outcome.notes)
    events += outcome.events
    faults += outcome.faults
    damage = addDamage(damage, outcome.damage)
  }
  return { rounds, faults, events, damage, longestRecoveryMs: null, problems, notes }
}

/** A source of this max.message.bytes, ingested and replayed. */
async function runOne(stage: Stage, width: number, rounds: number) {
  const { context, roles } = stage
  const config = { 'max.message.bytes': String(width) }
  const topic = await LoadedTopic.create(stage, `source-${width}`, { partitions: 2, config })
  const ingest = await startIngest(stage, [topic], { BATCH_MODE: 'true' })
  const problems: string[] = []
  let faults = 0
  try {
    for (let round = 1; round <= rounds; round++) {
      context.say(`round ${round} of ${rounds}: batches of up to ${width} bytes`)
      await topic.load.produceBatches(usualBatches)
      problems.push(
        ...(width === brokerBytes ? await atTheBrokers(topic, round) : await atOurs(topic, round)),
      )
      faults += 2
      await topic.load.produceBatches(usualBatches)
    }
    await topic.untilTaken(roles.waiting('the rest of the rows', patienceMs))
  } finally {
    await topic.load.stop()
  }
  const ingestPeak = peaksOf([ingest])
  problems.push(...ingestPeak.problems, ...(await stopAllInOrder(stage, topic.name, [ingest])).problems)
  const log = { topic: topic.name, score: topic.score() }
  const runs = new ReplayRuns(stage, log, { workers: 1, patienceMs })
  await runs.open()
  // Headers are added, so a copy can be larger than what the source takes: refused before anything is started.
  const narrow = await stage.world.createTopic(`narrow-${width}`, 2, config)
  if (width === brokerBytes) problems.push(...(await refusal(runs.api, topic.name, narrow)))
  await runs.begin({ targetTopic: stage.world.topicName(`target-${width}`) })
  await runs.end()
  await roles.stopAll()
  const judged = await judgeReplays(stage, log, runs.ended)
  return {
    events: log.score.produced + judged.events,
    damage: judged.damage,
    faults,
    problems: [...problems, ...judged.problems],
    notes: ingestPeak.notes.map((note) => `batches of up to ${width} bytes: ${note}`),
  }
}

/** A batch of exactly the broker's limit is an event; of one more byte Kafka takes nothing, and its producer is told. */
async function atTheBrokers({ load }: LoadedTopic, round: number): Promise<string[]> {
  await load.produce({
    partition: 0,
    codec: 'none',
    records: [{ record: batchOf(round, brokerBytes), fate: 'accepted' }],
  })
  try {
    const record = batchOf(round + 1_000, brokerBytes + 1)
    await load.produce({ partition: 1, codec: 'none', records: [{ record, fate: 'accepted' }] })
  } catch (error) {
    const said = error instanceof Error ? error.message : String(error)
    return /MESSAGE_TOO_LARGE|\b10\b/.test(said) ? [] : [`Kafka refused a batch over its limit with: ${said}`]
  }
  return ['Kafka took a batch over its limit']
}

/** A value of exactly our limit is an event, one of one more byte a dead letter. */
async function atOurs({ load }: LoadedTopic, round: number): Promise<string[]> {
  const records = [
    { record: eventOf(round + 2_000, valueBytes), fate: 'accepted' },
    { record: eventOf(round + 3_000, valueBytes + 1), fate: 'TOO_LARGE' },
    { record: eventOf(round + 4_000, valueBytes), fate: 'accepted' },
  ] as const
  await load.produce({ partition: 0, codec: 'none', records })
  await load.produce({
    partition: 1,
    codec: 'zstd',
    records: [{ record: eventOf(round + 5_000, valueBytes), fate: 'accepted' }],
  })
  return []
}

async function refusal(api: Api, topic: string, targetTopic: string): Promise<string[]> {
  try {
    const { replayId } = await api.startReplay({ topic, targetTopic })
    return [`a target that cannot take the largest event was taken: ${replayId}`]
  } catch (error) {
    if (error instanceof ApiError && error.code === 'TARGET_MESSAGE_SIZE' && error.status < 500) return []
    return [`a target that cannot take the largest event was refused with: ${String(error)}`]
  }
}

const seed = 20_261_126
const encoder = new RecordBatchEncoder()

/** A record of an event whose value has exactly so many bytes. */
function eventOf(index: number, bytes: number): SourceRecord {
  const { provenance: _, ...event } = makeEvent(seed, index)
  const filled = (length: number): Buffer =>
    Buffer.from(JSON.stringify({ ...event, data: { ...event.data, padding: 'x'.repeat(length) } }))
  const value = filled(bytes - filled(0).length)
  return carry(new Random(seed, index, 2), { ...event, data: JSON.parse(value.toString()).data }, value)
}

/** A record that alone makes a batch of exactly so many bytes. */
function batchOf(index: number, bytes: number): SourceRecord {
  const guess = bytes - 1_000
  const missing = bytes - encoder.encode([eventOf(index, guess)], 'none').length
  return eventOf(index, guess + missing)
}
