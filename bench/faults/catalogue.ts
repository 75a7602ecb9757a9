import type { Scenario } from './contract.ts'
import { ingestKillRandom } from './scenarios/ingestKillRandom.ts'

/** Every scenario, in the order in which a campaign runs them. */
export const catalogue: readonly Scenario[] = [ingestKillRandom]
