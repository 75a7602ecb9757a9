import type { Outcome, Scenario } from '../contract.ts'
import { addDamage } from '../damage.ts'
import { judgeLog } from '../judgeLog.ts'
import { judgeTargets } from '../judgeTarget.ts'
import { ReplayKills, replayKillsEnv } from '../replayKills.ts'
import { receiptProblems } from '../replays.ts'
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
  const { context, kafka, ownerUrl, roles } = stage
  const { rounds, short, reader, say, signal } = context
  const { score, ...source } = await makeSourceLog(stage, {
    partitions,
    records: short ? records.short : records.full,
  })
  const kills = new ReplayKills(stage, { score, ...source }, { workers: 2, patienceMs })
  await kills.run(context)
  await roles.stopAll()
  say(`reading ${kills.ended.length} replays back`)
  const log = await judgeLog(ownerUrl, score, {}, signal)
  const targets = await judgeTargets(reader, kafka.brokers, score, kills.begun, signal)
  return {
    rounds,
    faults: kills.kills,
    events: targets.records,
    damage: addDamage(log.damage, targets.damage),
    longestRecoveryMs: kills.longestRecoveryMs,
    problems: [
      ...log.problems,
      ...targets.problems,
      ...kills.ended.flatMap((view) => receiptProblems(view, score, log)),
    ],
    notes: [
      `${kills.ended.length} replays of ${score.accepted} events; after ${kills.stoodStill} of ${kills.kills} kills a ` +
        'partition stood still until its heartbeat time-out',
    ],
  }
}
