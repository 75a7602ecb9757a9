import { describe, expect, it } from 'vitest'
import type { ScenarioResult } from '../../bench/faults/campaign.ts'
import type { Outcome } from '../../bench/faults/contract.ts'
import { noDamage } from '../../bench/faults/damage.ts'
import {
  type CampaignReport,
  formatMarkdown,
  formatReport,
  isCampaignClean,
  toJson,
} from '../../bench/faults/report.ts'

const clean: Outcome = {
  rounds: 100,
  faults: 123,
  events: 1_234_567,
  damage: noDamage,
  longestRecoveryMs: 6_540,
  problems: [],
  notes: ['one note'],
}

const result = (name: string, outcome: Outcome | null, failure: string | null = null): ScenarioResult => ({
  scenario: {
    name,
    group: 'ingest',
    title: '',
    rounds: { full: 1, short: 1 },
    run: () => Promise.reject(new Error('not run here')),
  },
  outcome,
  failure,
  seconds: 12.3,
})

const report = (...results: ScenarioResult[]): CampaignReport => ({
  date: '2026-11-26T15:00:00.000Z',
  seed: 42,
  command: 'npm run faults -- --seed 42',
  versions: { node: '24.21.0', kafka: '4.1.1', postgres: '18.4', temporal: null, kafkajs: '2.2.4' },
  judge: "Kafka's Java consumer (read_committed)",
  results,
  seconds: 61,
  interrupted: false,
})

describe('a campaign', () => {
  it('is clean when no scenario has damage or problems', () => {
    expect(isCampaignClean(report(result('a', clean)))).toBe(true)
    expect(isCampaignClean(report(result('a', { ...clean, skipped: 'no mount' })))).toBe(true)
  })

  it.each([
    ['one record is lost', { damage: { ...noDamage, lost: 1 } }],
    ['one record is doubled', { damage: { ...noDamage, doubled: 1 } }],
    ['one record is out of order', { damage: { ...noDamage, reordered: 1 } }],
    ['one record is altered', { damage: { ...noDamage, altered: 1 } }],
    ['something else did not hold', { problems: ['a gap'] }],
  ])('is not clean when %s', (_what, changed) => {
    expect(isCampaignClean(report(result('a', clean), result('b', { ...clean, ...changed })))).toBe(false)
  })

  it('is not clean when a scenario failed, when it was interrupted, or when nothing ran', () => {
    expect(isCampaignClean(report(result('a', clean), result('b', null, 'it broke')))).toBe(false)
    expect(isCampaignClean({ ...report(result('a', clean)), interrupted: true })).toBe(false)
    expect(isCampaignClean(report())).toBe(false)
  })
})

describe('the report', () => {
  const long = 'x'.repeat(300)
  const full = report(
    result('ingest-kill-random', clean),
    result('replay-kill-random', {
      ...clean,
      damage: { lost: 3, doubled: 20, reordered: 100, altered: 1_000_000 },
      longestRecoveryMs: 12_000,
      problems: [`first ${long}`, 'second'],
    }),
    result('ingest-broken', null, 'waiting for rows: not within 60 s\n── the end of a log'),
    result('limits-disk', { ...clean, skipped: 'mounting is refused' }),
    result('limits-none', { ...clean, longestRecoveryMs: null }),
  )
  const text = formatReport(full)
  const lineOf = (name: string): string[] =>
    (text.split('\n').find((line) => line.includes(name)) ?? '').trim().split(/\s{2,}/)

  it('has a row per scenario and their sum', () => {
    expect(lineOf('ingest-kill-random')).toEqual([
      'ingest-kill-random',
      '100',
      '123',
      '1,234,567',
      '0',
      '0',
      '0',
      '0',
      '6.5 s',
    ])
    expect(lineOf('replay-kill-random').slice(4)).toEqual(['3', '20', '100', '1,000,000', '12.0 s'])
    expect(lineOf('ingest-broken')).toEqual(['ingest-broken', 'FAILED'])
    expect(lineOf('limits-disk')).toEqual(['limits-disk', 'skipped'])
    expect(lineOf('limits-none').at(-1)).toBe('–')
    const all = text.split('\n').find((line) => line.startsWith('  all ')) ?? ''
    expect(
      all
        .trim()
        .split(/\s{2,}/)
        .at(-1),
    ).toBe('12.0 s')
  })

  it('fits 120 columns, whatever the texts are', () => {
    expect(Math.max(...text.split('\n').map((line) => line.length))).toBeLessThanOrEqual(120)
  })

  it('lists problems, failures and notes by scenario, and says what it ran on', () => {
    expect(text).toContain('replay-kill-random: second')
    expect(text).toContain('ingest-broken: waiting for rows: not within 60 s')
    expect(text).toContain('ingest-kill-random: one note')
    expect(text).toContain('limits-disk: skipped, mounting is refused')
    expect(text).toContain('node 24.21.0, kafka 4.1.1, postgres 18.4, kafkajs 2.2.4')
    expect(text).toContain('Seed 42: npm run faults -- --seed 42')
  })

  it('is a table in Markdown too', () => {
    const markdown = formatMarkdown(full).split('\n')
    expect(markdown[0]).toBe(
      '| scenario | rounds | faults | events | lost | doubled | reordered | altered | longest recovery |',
    )
    expect(markdown[2]).toBe('| ingest-kill-random | 100 | 123 | 1,234,567 | 0 | 0 | 0 | 0 | 6.5 s |')
    expect(markdown).toContain('- ingest-broken: waiting for rows: not within 60 s / ── the end of a log')
  })

  it('is one JSON object', () => {
    const json = JSON.parse(JSON.stringify(toJson(full)))
    expect(json).toMatchObject({ ok: false, seed: 42, versions: { kafka: '4.1.1' } })
    expect(json.results[1]).toMatchObject({ name: 'replay-kill-random', ok: false, damage: { lost: 3 } })
    expect(json.results[2]).toMatchObject({ name: 'ingest-broken', ok: false, failure: expect.any(String) })
    expect(json.results[3]).toMatchObject({ ok: true, skipped: 'mounting is refused' })
  })
})
