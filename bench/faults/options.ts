import { parseArgs } from 'node:util'
import { wholeNumber } from '../run/wholeNumber.ts'
import { mix } from '../source/random.ts'
import type { Scenario } from './contract.ts'

export interface FaultsOptions {
  readonly seed: number
  /** Null: as many as each scenario has. */
  readonly rounds: number | null
  /** Names, beginnings of names, or patterns with `*`; empty: every scenario of the campaign. */
  readonly only: readonly string[]
  readonly list: boolean
  /** The bounded campaign. */
  readonly short: boolean
  /** For a machine that does nothing else: a recovery above the bar is a problem, not a note. */
  readonly strictTimes: boolean
  readonly json: boolean
  readonly keepLogs: boolean
  /** Where the campaign makes a folder of its own for servers and logs; null: in the local stack's. */
  readonly directory: string | null
  /** Where to write the report in Markdown. */
  readonly markdown: string | null
}

export const faultsUsage = `npm run faults -- [--seed N] [--rounds N] [--only NAMES] [--short] [--strict-times] [--json] [--markdown FILE] [--keep-logs] [--directory DIR]
npm run faults -- --list

  --seed N         a whole number below 2^32 that every choice comes from (default: a random one, printed first)
  --rounds N       rounds of each scenario (default: what the scenario has)
  --only NAMES     comma-separated names, beginnings of names, or patterns: ingest,replay-kill-random,*-frozen
  --short          the bounded campaign: fewer rounds of fewer scenarios, about five minutes
  --strict-times   a recovery above the bar is a problem, not a note: for a machine that does nothing else
  --list           the scenarios
  --json           progress to stderr; the last line of stdout is one JSON object
  --markdown FILE  write the report there too
  --keep-logs      leave the logs of servers and roles, also when all went well
  --directory DIR  where servers and logs are, for campaigns side by side (default: the local stack's folder)`

const largestSeed = 2 ** 32 - 1
const mostRounds = 100_000

/** Throws TypeError with what is wrong. `randomSeed`: the seed when none is given. */
export function readFaultsOptions(argv: readonly string[], randomSeed: () => number): FaultsOptions {
  const { values } = parseArgs({
    args: [...argv],
    strict: true,
    options: {
      seed: { type: 'string' },
      rounds: { type: 'string' },
      only: { type: 'string', multiple: true },
      list: { type: 'boolean', default: false },
      short: { type: 'boolean', default: false },
      'strict-times': { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      markdown: { type: 'string' },
      'keep-logs': { type: 'boolean', default: false },
      directory: { type: 'string' },
    },
  })
  const only = (values.only ?? []).flatMap((names) => names.split(',').map((name) => name.trim()))
  return {
    seed: values.seed === undefined ? randomSeed() : wholeNumber('--seed', values.seed, 0, largestSeed),
    rounds: values.rounds === undefined ? null : wholeNumber('--rounds', values.rounds, 1, mostRounds),
    only: only.filter((name) => name !== ''),
    list: values.list,
    short: values.short,
    strictTimes: values['strict-times'],
    json: values.json,
    markdown: values.markdown ?? null,
    keepLogs: values['keep-logs'],
    directory: values.directory ?? null,
  }
}

/** What makes the same campaign again. */
export function commandOf({ seed, rounds, only, short, strictTimes }: FaultsOptions): string {
  const parts = ['npm run faults --', `--seed ${seed}`]
  if (rounds !== null) parts.push(`--rounds ${rounds}`)
  if (only.length > 0) parts.push(`--only ${only.join()}`)
  if (short) parts.push('--short')
  if (strictTimes) parts.push('--strict-times')
  return parts.join(' ')
}

/** For people: each scenario with its rounds in a full and in a short campaign. */
export function formatList(catalogue: readonly Scenario[]): string {
  const width = Math.max(...catalogue.map(({ name }) => name.length))
  return catalogue
    .map(({ name, rounds, title }) => {
      const counts = `${String(rounds.full).padStart(4)} ${String(rounds.short).padStart(3)}`
      return `${name.padEnd(width)}  ${counts}  ${title}`
    })
    .join('\n')
}

/** A scenario and how often. */
export interface Planned {
  readonly scenario: Scenario
  readonly rounds: number
}

/**
 * What a campaign does, in the order of the catalogue. A scenario that is named runs also where the short campaign
 * leaves it out. Throws TypeError for a name that no scenario has.
 */
export function planCampaign(catalogue: readonly Scenario[], options: FaultsOptions): Planned[] {
  const patterns = options.only.map(patternOf)
  for (const [index, pattern] of patterns.entries()) {
    if (!catalogue.some(({ name }) => pattern.test(name)))
      throw new TypeError(`no scenario is called ${options.only[index]}: see --list`)
  }
  return catalogue.flatMap((scenario) => {
    const named = patterns.some((pattern) => pattern.test(scenario.name))
    if (patterns.length > 0 && !named) return []
    const usual = options.short ? scenario.rounds.short : scenario.rounds.full
    if (usual === 0 && !named) return []
    return [{ scenario, rounds: options.rounds ?? Math.max(1, usual) }]
  })
}

/** A name stands for itself and for whatever begins with it and a dash; `*` stands for anything. */
function patternOf(text: string): RegExp {
  const body = text
    .split('*')
    .map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'))
    .join('.*')
  return new RegExp(text.includes('*') ? `^${body}$` : `^${body}(-|$)`)
}

/** The seed of one scenario: the same whether it runs alone or among others. */
export function seedOf(campaignSeed: number, name: string): number {
  let seed = campaignSeed
  for (let at = 0; at < name.length; at++) seed = mix(seed, name.charCodeAt(at), at)
  return seed
}
