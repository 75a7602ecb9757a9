import { formatSeconds } from '../../run/say.ts'
import type { Outcome, Scenario } from '../contract.ts'
import { IngestKills } from '../ingestKills.ts'
import { judgeLog } from '../judgeLog.ts'
import { judgeSource } from '../judgeTarget.ts'
import { Stage } from '../stage.ts'

/** Moving again takes a new process some seconds; on a machine that others use too it may take many. */
const patienceMs = 60_000

export const ingestKillRandom: Scenario = {
  name: 'ingest-kill-random',
  group: 'ingest',
  title: 'kill -9 of the ingest process at random moments under steady load',
  rounds: { full: 100, short: 8 },
  run: (context) => Stage.with(context, 'ingest-kill-random', {}, run),
}

async function run(stage: Stage): Promise<Outcome> {
  const { context, kafka, ownerUrl } = stage
  const { rounds, reader, say, signal } = context
  const kills = await IngestKills.open(stage, { doubleEvery: 5, mixed: true, patienceMs })
  try {
    await kills.run(context)
  } finally {
    await kills.close()
  }
  const stopMs = await kills.stop()
  const score = kills.score()
  say('reading everything back')
  const log = await judgeLog(ownerUrl, score, {}, signal)
  const source = await judgeSource(reader, kafka.brokers, score, signal)
  return {
    rounds,
    faults: kills.kills,
    events: score.produced,
    damage: log.damage,
    longestRecoveryMs: kills.longestRecoveryMs,
    problems: [...log.problems, ...source],
    notes: [
      `${kills.doubleKills} of the ${kills.kills} kills hit a process that had not written yet`,
      `SIGTERM at the end took ${formatSeconds(stopMs / 1000)}`,
    ],
  }
}
