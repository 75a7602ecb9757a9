import type { Scenario } from '../contract.ts'
import { ingestFrozenWriter, ingestZombie } from './ingestFrozen.ts'
import { ingestKafkaKill } from './ingestKafkaKill.ts'
import { ingestKillRandom } from './ingestKillRandom.ts'
import { ingestKillSteps } from './ingestKillSteps.ts'
import { ingestPostgresCrash, ingestPostgresRestart, ingestPostgresTerminate } from './ingestPostgres.ts'
import { ingestPostgresDiskFull } from './ingestPostgresDiskFull.ts'

export const ingestScenarios: readonly Scenario[] = [
  ingestKillRandom,
  ingestKillSteps,
  ingestZombie,
  ingestFrozenWriter,
  ingestPostgresCrash,
  ingestPostgresRestart,
  ingestPostgresTerminate,
  ingestPostgresDiskFull,
  ingestKafkaKill,
]
