import type { Outcome, Scenario } from '../contract.ts'
import { killInRounds } from '../ingestKills.ts'
import { underLoad } from '../ingestUnderLoad.ts'
import { killAtRandom } from '../kills.ts'
import { Stage } from '../stage.ts'

export const ingestKillRandom: Scenario = {
  name: 'ingest-kill-random',
  group: 'ingest',
  title: 'kill -9 of the ingest process at random moments under steady load',
  rounds: { full: 100, short: 8 },
  run: (context) => Stage.with(context, 'ingest-kill-random', {}, run),
}

function run(stage: Stage): Promise<Outcome> {
  return underLoad(stage, {}, async (ingest) => {
    const kill = killAtRandom(stage.context, stage.roles, [60, 400, 1_500])
    const doubleKills = await killInRounds(ingest, {
      kill: async (role) => {
        await kill(role)
        return 'at a random moment'
      },
      doubleEvery: 5,
    })
    const { kills } = ingest
    return {
      faults: kills,
      notes: [`${doubleKills} of the ${kills} kills hit a process that had not written yet`],
    }
  })
}
