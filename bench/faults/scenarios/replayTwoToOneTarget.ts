import { setTimeout as sleep } from 'node:timers/promises'
import type { Outcome, Scenario } from '../contract.ts'
import { judgeReplays } from '../judgeReplays.ts'
import { ReplayRuns, replayRunsEnv } from '../replayRuns.ts'
import type { ReplayWatch } from '../replays.ts'
import { makeSourceLog } from '../sourceLog.ts'
import { Stage } from '../stage.ts'

const patienceMs = 180_000
const records = 20_000
const killsPerRound = 2

export const replayTwoToOneTarget: Scenario = {
  name: 'replay-two-to-one-target',
  group: 'replay',
  title: 'two replays into one target at once, begun in the same moment, their workers killed meanwhile',
  rounds: { full: 4, short: 0 },
  run: (context) =>
    Stage.with(context, 'replay-two-to-one-target', { temporal: true, env: replayRunsEnv }, run),
}

async function run(stage: Stage): Promise<Outcome> {
  const { context, roles, world } = stage
  const { rounds, say } = context
  const log = await makeSourceLog(stage, { partitions: 4, records })
  const runs = new ReplayRuns(stage, log, { workers: 2, patienceMs })
  await runs.open()
  for (let round = 1; round <= rounds; round++) {
    // The target is there for none of them, so both want to make it.
    const targetTopic = world.topicName(`shared-${round}`)
    const pair = await Promise.all([runs.begin({ targetTopic }), runs.begin({ targetTopic })])
    for (let kill = 0; kill < killsPerRound; kill++) await killUnder(runs, pair)
    await Promise.all(pair.map((replay) => runs.ending(replay)))
    say(`round ${round} of ${rounds}`)
  }
  await roles.stopAll()
  // Each is held against the source for itself, by its replay-id.
  const { damage, events, problems } = await judgeReplays(stage, log, runs.ended)
  return {
    rounds,
    faults: rounds * killsPerRound,
    events,
    damage,
    longestRecoveryMs: runs.clock.longestMs,
    problems,
    notes: [],
  }
}

/** Kills a worker when both have begun, and waits until both go on. */
async function killUnder(runs: ReplayRuns, pair: readonly ReplayWatch[]): Promise<void> {
  const { context, roles } = runs.stage
  const { random, signal } = context
  await Promise.all(pair.map((replay) => replay.untilBeyond(0, runs.waiting('commits of both replays'))))
  await sleep(random.below(1_500), undefined, { signal })
  const victim = runs.pickWorker()
  await roles.kill(victim)
  runs.clock.fault()
  await runs.replace(victim)
  const before = await Promise.all(pair.map((replay) => replay.cursors()))
  await Promise.all(
    pair.map((replay, at) =>
      replay.untilAllMove(before[at] ?? new Map(), runs.waiting('commits of both replays after a kill')),
    ),
  )
  runs.clock.moved()
}
