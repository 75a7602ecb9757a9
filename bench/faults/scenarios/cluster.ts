import type { Scenario } from '../contract.ts'
import { clusterBrokerScenarios } from './clusterBrokers.ts'
import { clusterLeadersMove } from './clusterLeadersMove.ts'

export const clusterScenarios: readonly Scenario[] = [clusterLeadersMove, ...clusterBrokerScenarios]
