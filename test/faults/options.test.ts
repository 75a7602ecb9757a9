import { describe, expect, it } from 'vitest'
import { catalogue } from '../../bench/faults/catalogue.ts'
import type { Scenario } from '../../bench/faults/contract.ts'
import { planCampaign, readFaultsOptions, seedOf } from '../../bench/faults/options.ts'

const read = (...argv: string[]) => readFaultsOptions(argv, () => 7)

const scenario = (name: string, full: number, short: number): Scenario => ({
  name,
  group: 'ingest',
  title: 'nothing',
  rounds: { full, short },
  run: () => Promise.reject(new Error('not run here')),
})
const some = [
  scenario('ingest-kill', 100, 8),
  scenario('ingest-kill-step', 20, 0),
  scenario('ingested', 3, 1),
  scenario('replay-frozen', 5, 2),
]
const planned = (...argv: string[]): string[] =>
  planCampaign(some, read(...argv)).map(({ scenario: { name }, rounds }) => `${name} ${rounds}`)

describe('options', () => {
  it('draw a seed where none is given, and take the one that is', () => {
    expect(read().seed).toBe(7)
    expect(read('--seed', '4294967295').seed).toBe(4_294_967_295)
  })

  it.each([
    ['--seed', 'x'],
    ['--seed', '4294967296'],
    ['--seed', '-1'],
    ['--rounds', '0'],
    ['--rounds', '1.5'],
    ['--unknown', '1'],
  ])('refuse %s %s', (...argv) => {
    expect(() => read(...argv)).toThrow(TypeError)
  })
})

describe('the plan', () => {
  it('has every scenario with its own rounds', () => {
    expect(planned()).toEqual(['ingest-kill 100', 'ingest-kill-step 20', 'ingested 3', 'replay-frozen 5'])
  })

  it('leaves out what the short campaign has no rounds for', () => {
    expect(planned('--short')).toEqual(['ingest-kill 8', 'ingested 1', 'replay-frozen 2'])
  })

  it('does as many rounds as it is told', () => {
    expect(planned('--rounds', '2', '--short')).toEqual(['ingest-kill 2', 'ingested 2', 'replay-frozen 2'])
  })

  it('takes names, beginnings up to a dash, and patterns', () => {
    expect(planned('--only', 'ingest-kill-step')).toEqual(['ingest-kill-step 20'])
    expect(planned('--only', 'ingest')).toEqual(['ingest-kill 100', 'ingest-kill-step 20'])
    expect(planned('--only', '*-step, replay')).toEqual(['ingest-kill-step 20', 'replay-frozen 5'])
    expect(planned('--only', 'ingest*', '--only', 'replay-frozen')).toHaveLength(4)
  })

  it('runs what is named also where the short campaign leaves it out', () => {
    expect(planned('--short', '--only', 'ingest-kill-step')).toEqual(['ingest-kill-step 1'])
  })

  it('refuses a name that no scenario has', () => {
    expect(() => planned('--only', 'ingest-kill,replay-thawed')).toThrow('replay-thawed')
    expect(() => planned('--only', 'inge')).toThrow('inge')
  })

  it('gives each scenario a seed of its own, the same whatever runs beside it', () => {
    const seeds = catalogue.map(({ name }) => seedOf(1, name))
    expect(new Set(seeds).size).toBe(catalogue.length)
    expect(seedOf(1, 'a')).toBe(seedOf(1, 'a'))
    expect(seedOf(2, 'a')).not.toBe(seedOf(1, 'a'))
  })
})

describe('the catalogue', () => {
  it('has names that are lower case with dashes, begin with their group and are there once', () => {
    for (const { name, group } of catalogue) {
      expect(name).toMatch(/^[a-z0-9]+(-[a-z0-9]+)*$/)
      expect(name.startsWith(`${group}-`), name).toBe(true)
    }
    expect(new Set(catalogue.map(({ name }) => name)).size).toBe(catalogue.length)
  })
})
