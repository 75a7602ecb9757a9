import type { Scenario } from '../contract.ts'
import { ingestFrozenWriter, ingestZombie } from './ingestFrozen.ts'
import { ingestJoinLeave } from './ingestJoinLeave.ts'
import { ingestKafkaKill } from './ingestKafkaKill.ts'
import { ingestKillRandom } from './ingestKillRandom.ts'
import { ingestKillSteps } from './ingestKillSteps.ts'
import { ingestForgottenConnections, ingestNetwork } from './ingestNetwork.ts'
import { ingestPostgresCrash, ingestPostgresRestart, ingestPostgresTerminate } from './ingestPostgres.ts'
import { ingestPostgresDiskFull } from './ingestPostgresDiskFull.ts'
import { ingestSlowHandler } from './ingestSlowHandler.ts'

export const ingestScenarios: readonly Scenario[] = [
  ingestKillRandom,
  ingestKillSteps,
  ingestJoinLeave,
  ingestZombie,
  ingestFrozenWriter,
  ingestSlowHandler,
  ingestPostgresCrash,
  ingestPostgresRestart,
  ingestPostgresTerminate,
  ingestPostgresDiskFull,
  ingestKafkaKill,
  ingestNetwork,
  ingestForgottenConnections,
]
