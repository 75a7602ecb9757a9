import kafkajs from 'kafkajs'
import { carry, makeEvent } from '../../source/event.ts'
import { Random } from '../../source/random.ts'
import type { Outcome, Scenario } from '../contract.ts'
import { judgeReplays } from '../judgeReplays.ts'
import type { SteadyLoad } from '../load.ts'
import { ReplayRuns, replayRunsEnv } from '../replayRuns.ts'
import { makeSourceLog } from '../sourceLog.ts'
import { Stage } from '../stage.ts'

const patienceMs = 120_000
const records = 20_000
const partitions = 4
/** Of the one record that is larger than all others, and a limit between them. */
const largeBytes = 200_000
const largePartition = 1
const limitBytes = 100_000
/** Of the one record that is older than all others, and a limit between them. */
const oldTimestamp = Date.UTC(2001, 0, 1)
const oldPartition = 2
const limitMs = 10 * 365 * 86_400_000

interface Limit {
  readonly name: string
  readonly config: Readonly<Record<string, string>>
  readonly partition: number
  readonly reason: string
}

const limits: readonly [Limit, ...Limit[]] = [
  {
    name: 'max.message.bytes',
    config: { 'max.message.bytes': String(limitBytes) },
    partition: largePartition,
    reason: 'MESSAGE_TOO_LARGE',
  },
  {
    name: 'message.timestamp.before.max.ms',
    config: { 'message.timestamp.before.max.ms': String(limitMs) },
    partition: oldPartition,
    reason: 'INVALID_TIMESTAMP',
  },
]

export const replayRejected: Scenario = {
  name: 'replay-rejected',
  group: 'replay',
  title:
    'a target that is made to reject a record under a replay: it names the offset, and nothing follows it',
  rounds: { full: 4, short: 0 },
  run: (context) =>
    Stage.with(
      context,
      'replay-rejected',
      { temporal: true, env: { ...replayRunsEnv, REPLAY_SLICE_MS: '2000' } },
      run,
    ),
}

async function run(stage: Stage): Promise<Outcome> {
  const { context, roles } = stage
  const { rounds, say } = context
  const culprits = new Map<number, number>()
  const add = async (load: SteadyLoad): Promise<void> => {
    culprits.set(largePartition, await produceOne(load, largePartition, { bytes: largeBytes }))
    culprits.set(oldPartition, await produceOne(load, oldPartition, { timestamp: oldTimestamp }))
  }
  const log = await makeSourceLog(stage, { partitions, records, add })
  const runs = new ReplayRuns(stage, log, { workers: 2, patienceMs })
  await runs.open()
  const problems: string[] = []
  for (let round = 1; round <= rounds; round++) {
    const limit = limits[(round - 1) % limits.length] ?? limits[0]
    const offset = culprits.get(limit.partition) ?? -1
    const replay = await runs.begin()
    await replay.untilBeyond(0, runs.waiting('the first commits'))
    await tighten(stage, replay.target, limit)
    const view = await runs.end()
    const { code, detail } = view?.error ?? {}
    if (code !== 'TARGET_REJECTED')
      problems.push(`${replay.replayId} is ${view?.status} with ${code ?? 'no code'} under ${limit.name}`)
    else if (!detail?.includes(`source offset ${offset}:`) || !detail.includes(limit.reason))
      problems.push(`${replay.replayId} blames another record than ${limit.partition}/${offset}: ${detail}`)
    const cursor = view?.logs.find(({ partition }) => partition === limit.partition)?.cursor
    if (Number(cursor) > offset)
      problems.push(`the cursor of ${replay.replayId} is at ${cursor}, behind the rejected record`)
    say(`round ${round} of ${rounds}: ${limit.name}`)
  }
  await roles.stopAll()
  const judgement = await judgeReplays(stage, log, runs.ended, { ends: ['failed'] })
  return {
    rounds,
    faults: rounds,
    events: judgement.events,
    damage: judgement.damage,
    longestRecoveryMs: null,
    problems: [...problems, ...judgement.problems],
    notes: [],
  }
}

/** An event of unusual size or age; returns its offset. */
async function produceOne(
  load: SteadyLoad,
  partition: number,
  { bytes = 0, timestamp }: { readonly bytes?: number; readonly timestamp?: number },
): Promise<number> {
  const usual = makeEvent(1, partition)
  const event = {
    ...usual,
    data: { ...usual.data, note: 'x'.repeat(bytes) },
    ...(timestamp !== undefined && { timestamp }),
  }
  const { provenance: _, ...plain } = event
  const record = carry(new Random(1, partition), plain, Buffer.from(JSON.stringify(plain)))
  return load.produce({ partition, codec: 'none', records: [{ record, fate: 'accepted' }] })
}

/** What is not named goes back to the broker's default, which here keeps everything as well. */
async function tighten({ world }: Stage, target: string, { config }: Limit): Promise<void> {
  const entries = { 'retention.ms': '-1', ...config }
  await world.admin.alterConfigs({
    validateOnly: false,
    resources: [
      {
        type: kafkajs.ConfigResourceTypes.TOPIC,
        name: target,
        configEntries: Object.entries(entries).map(([name, value]) => ({ name, value })),
      },
    ],
  })
}
