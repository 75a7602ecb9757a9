import { setTimeout as sleep } from 'node:timers/promises'
import { formatCount, formatSeconds } from '../../run/say.ts'
import { type BadKindName, badKinds, makeBadRecord } from '../../source/badRecords.ts'
import { carry, makeEvent } from '../../source/event.ts'
import type { PlannedBatch, PlannedRecord } from '../../source/generator.ts'
import { Random } from '../../source/random.ts'
import type { Outcome, Scenario } from '../contract.ts'
import { stopAllInOrder } from '../ingestStop.ts'
import { judgeLog } from '../judgeLog.ts'
import { judgeSource } from '../judgeTarget.ts'
import { peaksOf } from '../limits/peaks.ts'
import { LoadedTopic, startIngest } from '../loadedTopic.ts'
import { Stage } from '../stage.ts'
import { Standstill } from '../standstill.ts'

const partitions = 4
const batchesPerSecond = 10
/** Of each kind, in every batch: a thousand of each in a second. */
const recordsOfAKind = 25
const roundSeconds = 10
const patienceMs = 90_000
/** Ingest keeps up: what it has not taken when the load ends is soon taken. */
const mostBehindMs = 15_000

/** All but the one of a mebibyte. */
const kinds = (Object.keys(badKinds) as BadKindName[]).filter((kind) => kind !== 'too large')

export const limitsDeadLetters: Scenario = {
  name: 'limits-dead-letters',
  group: 'limits',
  title: 'a thousand dead letters in a second, of all kinds, beside as many events',
  rounds: { full: 3, short: 0 },
  run: (context) => Stage.with(context, 'limits-dead-letters', {}, run),
}

async function run(stage: Stage): Promise<Outcome> {
  const { context, kafka, ownerUrl, roles } = stage
  const { rounds, reader, signal, say } = context
  const topic = await LoadedTopic.create(stage, 'source', { partitions })
  const ingest = await startIngest(stage, [topic], { BATCH_MODE: 'true' })
  const problems: string[] = []
  const standstill = new Standstill(topic.watch)
  const seed = context.random.next()
  let behindMs = 0
  try {
    await Promise.all(
      Array.from({ length: partitions }, (_, partition) => pump(stage, topic, partition, seed)),
    )
    const endedMs = performance.now()
    await topic.untilTaken(roles.waiting('the rest of the rows', patienceMs))
    behindMs = performance.now() - endedMs
  } finally {
    await standstill.stop()
    await topic.load.stop()
  }
  const peaks = peaksOf([ingest])
  problems.push(...(await stopAllInOrder(stage, topic.name, [ingest])).problems)
  const score = topic.score()
  say('reading everything back')
  const log = await judgeLog(ownerUrl, score, {}, signal)
  const dead = score.produced - score.accepted
  if (behindMs > mostBehindMs) problems.push(`the last rows came ${formatSeconds(behindMs / 1000)} late`)
  return {
    rounds,
    faults: dead,
    events: score.produced,
    damage: log.damage,
    longestRecoveryMs: null,
    problems: [
      ...problems,
      ...peaks.problems,
      ...log.problems,
      ...(await judgeSource(reader, kafka.brokers, score, signal)),
    ],
    notes: [
      `${formatCount(dead)} dead letters of ${log.deadLetters.size} reasons in ${rounds * roundSeconds} s beside ` +
        `${formatCount(score.accepted)} events; the last row came ${formatSeconds(behindMs / 1000)} after the last record, ` +
        `the longest standstill was ${formatSeconds(standstill.longestMs / 1000)}`,
      ...peaks.notes,
    ],
  }
}

async function pump({ context }: Stage, topic: LoadedTopic, partition: number, seed: number): Promise<void> {
  const { rounds, signal, say } = context
  const batches = rounds * roundSeconds * batchesPerSecond
  let dueMs = performance.now()
  for (let number = 0; number < batches; number++) {
    await sleep(Math.max(0, dueMs - performance.now()), undefined, { signal })
    dueMs += 1_000 / batchesPerSecond
    await topic.load.produce(batchOf(seed, partition, number * partitions + partition))
    if (partition === 0) say(`${topic.score().produced} records produced`)
  }
}

/** Good and bad ones in turn. */
function batchOf(seed: number, partition: number, number: number): PlannedBatch {
  const first = number * 2 * recordsOfAKind
  const records = Array.from({ length: 2 * recordsOfAKind }, (_, at) => recordOf(seed, first + at))
  return { partition, codec: 'none', records }
}

function recordOf(seed: number, index: number): PlannedRecord {
  if (index % 2 === 0) {
    const event = makeEvent(seed, index)
    const value = Buffer.from(JSON.stringify(event))
    return { record: carry(new Random(seed, index, 2), event, value), fate: 'accepted' }
  }
  const kind = kinds[Math.floor(index / 2) % kinds.length] ?? 'no JSON'
  return { record: makeBadRecord(seed, index, kind), fate: badKinds[kind].code }
}
