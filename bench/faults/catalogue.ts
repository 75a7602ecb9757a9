import type { Scenario } from './contract.ts'
import { checkerScenarios } from './scenarios/checker.ts'
import { clusterScenarios } from './scenarios/cluster.ts'
import { ingestKillRandom } from './scenarios/ingestKillRandom.ts'
import { replayKillRandom } from './scenarios/replayKillRandom.ts'

/** Every scenario, in the order in which a campaign runs them. */
export const catalogue: readonly Scenario[] = [
  ingestKillRandom,
  replayKillRandom,
  ...clusterScenarios,
  ...checkerScenarios,
]
