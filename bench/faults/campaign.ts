import { setTimeout as sleep } from 'node:timers/promises'
import type { TopicReader } from '../judge/reader.ts'
import { RoleProcess } from '../run/roles.ts'
import { formatSeconds, type Say } from '../run/say.ts'
import { Random } from '../source/random.ts'
import type { Outcome, Scenario, ScenarioContext } from './contract.ts'
import { describeDamage, isUndamaged } from './damage.ts'
import { type Planned, seedOf } from './options.ts'
import { heldAgainstBar } from './recoveryBar.ts'
import type { MendedBed } from './servers.ts'

export interface Campaign {
  readonly bed: MendedBed
  readonly reader: TopicReader
  readonly planned: readonly Planned[]
  readonly seed: number
  readonly short: boolean
  /** A recovery above the bar is a problem, not a note. */
  readonly strictTimes: boolean
  readonly say: Say
  readonly signal: AbortSignal
}

export interface ScenarioResult {
  readonly scenario: Scenario
  /** Null: it did not come to its end. */
  readonly outcome: Outcome | null
  /** Why not. */
  readonly failure: string | null
  readonly seconds: number
}

/** For what a scenario does before and after its rounds, and for each round. */
export const defaultLimitMs = (rounds: number): number => 240_000 + rounds * 45_000
/** A scenario whose time is up gets this long to end by itself; then its roles are killed. */
const endLimitMs = 20_000

/** No damage, no problem, or nothing to be judged. */
export const isClean = ({ outcome }: ScenarioResult): boolean =>
  outcome !== null &&
  (outcome.skipped !== undefined || (isUndamaged(outcome.damage) && outcome.problems.length === 0))

/**
 * Runs the scenarios one after another. What a scenario throws is its failure, and the campaign goes on with the next
 * one on mended servers. Returns what there is when the signal aborts. @throws when the servers cannot be mended
 */
export async function runCampaign(campaign: Campaign): Promise<ScenarioResult[]> {
  const { bed, planned, say, signal } = campaign
  const results: ScenarioResult[] = []
  for (const [index, { scenario, rounds }] of planned.entries()) {
    if (signal.aborted) break
    say.line(`${index + 1} of ${planned.length}: ${scenario.name}, ${rounds} rounds: ${scenario.title}`)
    const result = await runScenario(campaign, { scenario, rounds })
    if (signal.aborted && result.outcome === null) break
    results.push(result)
    say.line(`${scenario.name}: ${describeResult(result)} (${formatSeconds(result.seconds)})`)
    if (!signal.aborted) await bed.mend()
  }
  return results
}

async function runScenario(
  { bed, reader, seed, short, strictTimes, say, signal }: Campaign,
  { scenario, rounds }: Planned,
): Promise<ScenarioResult> {
  const startedMs = performance.now()
  const limitMs = (scenario.limitMs ?? defaultLimitMs)(rounds)
  const limit = new AbortController()
  const tooLong = new Error(`${scenario.name} took longer than ${formatSeconds(limitMs / 1000)}`)
  const timer = setTimeout(() => limit.abort(tooLong), limitMs)
  const context: ScenarioContext = {
    bed,
    rounds,
    short,
    random: new Random(seedOf(seed, scenario.name), 0),
    say: (text) => say.progress(`${scenario.name}: ${text}`),
    signal: AbortSignal.any([signal, limit.signal]),
    reader,
  }
  const secondsSince = (): number => (performance.now() - startedMs) / 1000
  try {
    const outcome = heldAgainstBar(
      await endedInTime(scenario.run(context), context.signal),
      scenario,
      strictTimes,
    )
    return { scenario, outcome, failure: null, seconds: secondsSince() }
  } catch (error) {
    const reason: unknown = limit.signal.aborted ? tooLong : error
    const failure = reason instanceof Error ? reason.message : String(reason)
    return { scenario, outcome: null, failure, seconds: secondsSince() }
  } finally {
    clearTimeout(timer)
    // Whatever it was: no process of one scenario lives into the next.
    await RoleProcess.killAll()
  }
}

/** A scenario that goes on after the signal is left behind, its roles killed under it. */
async function endedInTime(running: Promise<Outcome>, signal: AbortSignal): Promise<Outcome> {
  const settled = new AbortController()
  const overdue = async (): Promise<never> => {
    await aborted(signal, settled.signal)
    await sleep(endLimitMs, undefined, { signal: settled.signal })
    await RoleProcess.killAll()
    throw new Error('it did not end when it was told to')
  }
  const watch = overdue()
  watch.catch(() => undefined)
  running.catch(() => undefined)
  try {
    return await Promise.race([running, watch])
  } finally {
    settled.abort()
  }
}

function aborted(signal: AbortSignal, dropped: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise((resolve) =>
    signal.addEventListener('abort', () => resolve(), { once: true, signal: dropped }),
  )
}

function describeResult({ outcome, failure }: ScenarioResult): string {
  if (outcome === null) return `FAILED: ${failure?.split('\n', 1)[0]}`
  if (outcome.skipped !== undefined) return `skipped: ${outcome.skipped}`
  const problems = outcome.problems.length > 0 ? `, ${outcome.problems.length} problems` : ''
  return `${outcome.rounds} rounds, damage: ${describeDamage(outcome.damage)}${problems}`
}
