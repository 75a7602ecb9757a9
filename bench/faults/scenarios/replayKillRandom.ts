import type { Outcome, Scenario } from '../contract.ts'
import { judgeReplays } from '../judgeReplays.ts'
import { ReplayKills, replayKillsEnv } from '../replayKills.ts'
import { makeSourceLog } from '../sourceLog.ts'
import { Stage } from '../stage.ts'

const partitions = 4
const records = { full: 60_000, short: 30_000 }
const patienceMs = 90_000

export const replayKillRandom: Scenario = {
  name: 'replay-kill-random',
  group: 'replay',
  title: 'kill -9 of one of two replay workers at random moments',
  rounds: { full: 100, short: 6 },
  run: (context) => Stage.with(context, 'replay-kill-random', { temporal: true, env: replayKillsEnv }, run),
}

async function run(stage: Stage): Promise<Outcome> {
  const { context, roles } = stage
  const { rounds, short } = context
  const log = await makeSourceLog(stage, { partitions, records: short ? records.short : records.full })
  const kills = new ReplayKills(stage, log, { workers: 2, patienceMs })
  await kills.run(context)
  await roles.stopAll()
  const { damage, events, problems } = await judgeReplays(stage, log, kills.ended)
  return {
    rounds,
    faults: kills.kills,
    events,
    damage,
    longestRecoveryMs: kills.longestRecoveryMs,
    problems,
    notes: [
      `${kills.ended.length} replays of ${log.score.accepted} events; after ${kills.stoodStill} of ${kills.kills} kills a ` +
        'partition stood still until its heartbeat time-out',
    ],
  }
}
