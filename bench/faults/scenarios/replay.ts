import type { Scenario } from '../contract.ts'
import { replayControl } from './replayControl.ts'
import { replayCursorLost } from './replayCursorLost.ts'
import { replayFrozenCancel } from './replayFrozenCancel.ts'
import { replayKillRandom } from './replayKillRandom.ts'
import { replayKillSteps } from './replayKillSteps.ts'
import { replayLateRequests } from './replayLateRequests.ts'
import { replayNetwork } from './replayNetwork.ts'
import { replayRejected } from './replayRejected.ts'
import { replaySameId } from './replaySameId.ts'
import { replayKafkaKill, replayPostgresCrash, replayTemporalKill } from './replayServerKills.ts'
import { replayStop } from './replayStop.ts'
import { replayTargetRecreated } from './replayTargetRecreated.ts'
import { replayTwoToOneTarget } from './replayTwoToOneTarget.ts'
import { replayZombie } from './replayZombie.ts'

/** What happens to replays while they run. */
export const replayScenarios: readonly Scenario[] = [
  replayKillRandom,
  replayKillSteps,
  replayStop,
  replayZombie,
  replayLateRequests,
  replayTemporalKill,
  replayKafkaKill,
  replayPostgresCrash,
  replayNetwork,
  replayControl,
  replayFrozenCancel,
  replayCursorLost,
  replayTwoToOneTarget,
  replaySameId,
  replayTargetRecreated,
  replayRejected,
]
