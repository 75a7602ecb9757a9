import { setTimeout as sleep } from 'node:timers/promises'
import type { RoleProcess } from '../../run/roles.ts'
import { formatSeconds } from '../../run/say.ts'
import type { Outcome, Scenario } from '../contract.ts'
import { stopAllInOrder, stopInOrder } from '../ingestStop.ts'
import { judgeReplays } from '../judgeReplays.ts'
import { forgetStart, mostCrowdedBytes, peaksOf } from '../limits/peaks.ts'
import { LoadedTopic, startIngest } from '../loadedTopic.ts'
import { ReplayRuns } from '../replayRuns.ts'
import { Stage } from '../stage.ts'

const partitions = 200
const ratePerSecond = 3_000
const roundMs = 12_000
const patienceMs = 300_000

export const limitsPartitions: Scenario = {
  name: 'limits-partitions',
  group: 'limits',
  title: 'a topic with 200 partitions: ingested by two processes that come and go, and replayed',
  rounds: { full: 2, short: 0 },
  limitMs: (rounds) => 900_000 + rounds * 60_000,
  run: (context) => Stage.with(context, 'limits-partitions', { temporal: true }, run),
}

async function run(stage: Stage): Promise<Outcome> {
  const { rounds } = stage.context
  const topic = await LoadedTopic.create(stage, 'source', { partitions, load: { recordsPerBatch: 10 } })
  const problems: string[] = []
  try {
    problems.push(...(await ingest(stage, topic)))
  } finally {
    await topic.load.stop()
  }
  const log = { topic: topic.name, score: topic.score() }
  const runs = new ReplayRuns(stage, log, { workers: 1, patienceMs })
  await runs.open()
  forgetStart(runs.workers)
  const startedMs = performance.now()
  await runs.begin()
  await runs.end()
  const replayMs = performance.now() - startedMs
  const peaks = peaksOf(runs.workers, mostCrowdedBytes)
  await stage.roles.stopAll()
  const judged = await judgeReplays(stage, log, runs.ended)
  return {
    rounds,
    faults: rounds,
    events: log.score.produced + judged.events,
    damage: judged.damage,
    longestRecoveryMs: null,
    problems: [...problems, ...peaks.problems, ...judged.problems],
    notes: [
      `${log.score.produced} records in ${partitions} partitions; their replay took ${formatSeconds(replayMs / 1000)}`,
      ...peaks.notes,
    ],
  }
}

/** Each round one of two processes is stopped in order and another one comes, which the other has to share with. */
async function ingest(stage: Stage, topic: LoadedTopic): Promise<string[]> {
  const { context, roles } = stage
  const { rounds, signal, say } = context
  const problems: string[] = []
  const start = (): Promise<RoleProcess> => startIngest(stage, [topic])
  const waiting = (what: string) => roles.waiting(what, patienceMs)
  let processes = [await start(), await start()]
  await topic.load.start(ratePerSecond)
  await topic.untilAllGrow(new Map(), waiting('rows of every partition'))
  for (let round = 1; round <= rounds; round++) {
    say(`round ${round} of ${rounds}: ${topic.score().produced} records produced`)
    const [leaving, staying] = processes
    if (leaving === undefined || staying === undefined) throw new Error('two processes were started')
    problems.push(...(await stopInOrder(stage, leaving)).problems)
    processes = [staying, await start()]
    const before = (await topic.watch.sizes()) ?? new Map()
    await topic.untilAllGrow(before, waiting('rows of every partition after a process has come'))
    await sleep(roundMs, undefined, { signal })
  }
  await topic.untilTaken(waiting('the rest of the rows'))
  const peaks = peaksOf(processes)
  problems.push(...peaks.problems)
  const stopped = await stopAllInOrder(stage, topic.name, processes)
  return [...problems, ...stopped.problems]
}
