import type { Scenario } from '../contract.ts'
import { ingestRetention } from './ingestRetention.ts'

/** What happens to the source, under ingest. */
export const ingestSourceScenarios: readonly Scenario[] = [ingestRetention]
