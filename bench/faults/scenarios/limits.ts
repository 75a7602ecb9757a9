import type { Scenario } from '../contract.ts'
import { limitsDeadLetters } from './limitsDeadLetters.ts'
import { limitsPartitions } from './limitsPartitions.ts'
import { limitsReplays } from './limitsReplays.ts'
import { limitsValues } from './limitsValues.ts'

/** More of something than the platform is made for: it slows down or refuses clearly, and does not fall over. */
export const limitsScenarios: readonly Scenario[] = [
  limitsReplays,
  limitsPartitions,
  limitsDeadLetters,
  limitsValues,
]
