import type { Scenario } from './contract.ts'
import { checkerScenarios } from './scenarios/checker.ts'
import { clusterScenarios } from './scenarios/cluster.ts'
import { ingestScenarios } from './scenarios/ingest.ts'
import { ingestSourceScenarios } from './scenarios/ingestSource.ts'
import { limitsScenarios } from './scenarios/limits.ts'
import { replayScenarios } from './scenarios/replay.ts'

/** Every scenario, in the order in which a campaign runs them. */
export const catalogue: readonly Scenario[] = [
  ...ingestScenarios,
  ...ingestSourceScenarios,
  ...replayScenarios,
  ...clusterScenarios,
  ...limitsScenarios,
  ...checkerScenarios,
]
