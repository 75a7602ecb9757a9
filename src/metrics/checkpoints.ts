import { Gauge, type Registry } from 'prom-client'
import type { CheckpointStanding } from '../ports.ts'
import { createRefresh } from './scraped.ts'

type StandingOf = (topic: string) => Promise<CheckpointStanding>

/**
 * How far the checkpoints of the topics reach, as the database has it: whatever makes them, that they stopped shows here. A
 * topic of which none was ever made has no age. While the database does not answer, the gauges hold nothing: a missing
 * value must not look like a value.
 */
export function registerCheckpointMetrics(
  registry: Registry,
  topics: readonly string[],
  standingOf: StandingOf,
): void {
  const options = { labelNames: ['topic'] as const, registers: [registry], collect: () => refresh() }
  const age = new Gauge({
    name: 'checkpoint_newest_age_seconds',
    help: 'Age of the newest checkpoint of the whole topic at its head',
    ...options,
  })
  const uncovered = new Gauge({
    name: 'checkpoint_uncovered_leaves',
    help: 'Leaves of the logs that are appended to which no checkpoint covers',
    ...options,
  })
  let looking: Promise<ReadonlyMap<string, CheckpointStanding>> | null = null
  // One that takes longer than a scrape is not asked for a second time beside itself.
  const look = (): Promise<ReadonlyMap<string, CheckpointStanding>> => {
    looking ??= lookAt(topics, standingOf).finally(() => {
      looking = null
    })
    return looking
  }
  const refresh = createRefresh(look, new Map<string, CheckpointStanding>(), (found) => {
    for (const gauge of [age, uncovered]) gauge.reset()
    for (const [topic, standing] of found) {
      if (standing.newest !== null) age.set({ topic }, Math.max(0, standing.newest.ageMs / 1_000))
      uncovered.set({ topic }, Number(standing.uncovered))
    }
  })
}

/** One after another, so that a scrape takes one connection. */
async function lookAt(
  topics: readonly string[],
  standingOf: StandingOf,
): Promise<ReadonlyMap<string, CheckpointStanding>> {
  const found = new Map<string, CheckpointStanding>()
  for (const topic of topics) found.set(topic, await standingOf(topic))
  return found
}
