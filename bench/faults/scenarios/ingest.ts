import type { Scenario } from '../contract.ts'
import { ingestKillRandom } from './ingestKillRandom.ts'
import { ingestKillSteps } from './ingestKillSteps.ts'

export const ingestScenarios: readonly Scenario[] = [ingestKillRandom, ingestKillSteps]
