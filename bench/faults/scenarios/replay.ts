import type { Scenario } from '../contract.ts'
import { replayKillRandom } from './replayKillRandom.ts'
import { replayKillSteps } from './replayKillSteps.ts'
import { replayLateRequests } from './replayLateRequests.ts'
import { replayKafkaKill, replayPostgresCrash, replayTemporalKill } from './replayServerKills.ts'
import { replayZombie } from './replayZombie.ts'

/** What happens to replays while they run. */
export const replayScenarios: readonly Scenario[] = [
  replayKillRandom,
  replayKillSteps,
  replayZombie,
  replayLateRequests,
  replayTemporalKill,
  replayKafkaKill,
  replayPostgresCrash,
]
