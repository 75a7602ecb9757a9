import type { Scenario } from '../contract.ts'
import { ingestAborted } from './ingestAborted.ts'
import { ingestBomb } from './ingestBomb.ts'
import { ingestCompaction } from './ingestCompaction.ts'
import { ingestDatabaseRestored } from './ingestDatabaseRestored.ts'
import { ingestMissingTopic } from './ingestMissingTopic.ts'
import { ingestRetention } from './ingestRetention.ts'
import { ingestTopicRecreated } from './ingestTopicRecreated.ts'
import { ingestTruncated } from './ingestTruncated.ts'

/** What happens to the source, under ingest. */
export const ingestSourceScenarios: readonly Scenario[] = [
  ingestRetention,
  ingestTopicRecreated,
  ingestCompaction,
  ingestAborted,
  ingestMissingTopic,
  ingestBomb,
  ingestDatabaseRestored,
  ingestTruncated,
]
