import { formatCount, formatSeconds } from '../run/say.ts'
import { isClean, type ScenarioResult } from './campaign.ts'
import { addDamage, noDamage } from './damage.ts'
import type { Versions } from './versions.ts'

export interface CampaignReport {
  readonly date: string
  readonly seed: number
  /** What makes the same campaign again. */
  readonly command: string
  readonly versions: Versions
  readonly judge: string
  readonly results: readonly ScenarioResult[]
  readonly seconds: number
  /** It was stopped before its end. */
  readonly interrupted: boolean
}

const headings = [
  'scenario',
  'rounds',
  'faults',
  'events',
  'lost',
  'doubled',
  'reordered',
  'altered',
  'longest recovery',
] as const
type Cells = readonly string[]

export const isCampaignClean = ({ results, interrupted }: CampaignReport): boolean =>
  !interrupted && results.length > 0 && results.every(isClean)

/** The table, then what did not hold, then what there is to say; no line is longer than 120 characters. */
export function formatReport(report: CampaignReport): string {
  const rows = [headings, ...report.results.map(cellsOf), totalOf(report)]
  const widths = headings.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  const lines = rows.map((row) => `  ${alignRow(row, widths)}`)
  lines.splice(1, 0, `  ${widths.map((width) => '─'.repeat(width)).join('  ')}`)
  lines.splice(-1, 0, `  ${widths.map((width) => '─'.repeat(width)).join('  ')}`)
  return [
    ...lines,
    '',
    ...section('Problems', problemsOf(report.results)),
    ...section('Notes', notesOf(report.results)),
    ...wrapped(describeOrigin(report), '  '),
  ].join('\n')
}

export function formatMarkdown(report: CampaignReport): string {
  const row = (cells: Cells): string => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
  const rule = headings.map((_, column) => (column === 0 ? '---' : '---:'))
  const list = (title: string, texts: readonly string[]): string[] =>
    texts.length === 0 ? [] : [`**${title}**`, '', ...texts.map((text) => `- ${oneLine(text)}`), '']
  return [
    row(headings),
    row(rule),
    ...report.results.map((result) => row(cellsOf(result))),
    row(totalOf(report)),
    '',
    ...list('Problems', problemsOf(report.results)),
    ...list('Notes', notesOf(report.results)),
    describeOrigin(report),
    '',
  ].join('\n')
}

/** The one object of `--json`. */
export function toJson(report: CampaignReport): Record<string, unknown> {
  const { results, ...origin } = report
  return {
    ok: isCampaignClean(report),
    ...origin,
    results: results.map((result) => {
      const { scenario, outcome, failure, seconds } = result
      const ok = isClean(result)
      return { name: scenario.name, ok, seconds: Math.round(seconds), failure, ...outcome }
    }),
  }
}

function cellsOf({ scenario, outcome, failure }: ScenarioResult): Cells {
  if (outcome === null) return [scenario.name, failure === null ? '' : 'FAILED', '', '', '', '', '', '', '']
  if (outcome.skipped !== undefined) return [scenario.name, 'skipped', '', '', '', '', '', '', '']
  const { rounds, faults, events, damage, longestRecoveryMs } = outcome
  const counts = [rounds, faults, events, damage.lost, damage.doubled, damage.reordered, damage.altered]
  const recovery = longestRecoveryMs === null ? '–' : formatSeconds(longestRecoveryMs / 1000)
  return [scenario.name, ...counts.map(formatCount), recovery]
}

function totalOf({ results }: CampaignReport): Cells {
  const outcomes = results.flatMap(({ outcome }) => (outcome === null ? [] : [outcome]))
  const sum = (of: (outcome: (typeof outcomes)[number]) => number): number =>
    outcomes.reduce((all, outcome) => all + of(outcome), 0)
  const damage = outcomes.reduce((all, outcome) => addDamage(all, outcome.damage), noDamage)
  const recoveries = outcomes.flatMap(({ longestRecoveryMs }) => longestRecoveryMs ?? [])
  const recovery = recoveries.length === 0 ? '–' : formatSeconds(Math.max(...recoveries) / 1000)
  const counts = [
    sum(({ rounds }) => rounds),
    sum(({ faults }) => faults),
    sum(({ events }) => events),
    damage.lost,
    damage.doubled,
    damage.reordered,
    damage.altered,
  ]
  return ['all', ...counts.map(formatCount), recovery]
}

export function problemsOf(results: readonly ScenarioResult[]): string[] {
  return results.flatMap(({ scenario, outcome, failure }) => [
    ...(failure === null ? [] : [`${scenario.name}: ${failure}`]),
    ...(outcome?.problems ?? []).map((problem) => `${scenario.name}: ${problem}`),
  ])
}

function notesOf(results: readonly ScenarioResult[]): string[] {
  return results.flatMap(({ scenario, outcome }) => [
    ...(outcome?.skipped === undefined ? [] : [`${scenario.name}: skipped, ${outcome.skipped}`]),
    ...(outcome?.notes ?? []).map((note) => `${scenario.name}: ${note}`),
  ])
}

/** Every version, the seed and the command, in one sentence each. */
function describeOrigin({
  date,
  seed,
  command,
  versions,
  judge,
  seconds,
  interrupted,
}: CampaignReport): string {
  const software = Object.entries(versions)
    .filter(([, version]) => version !== null)
    .map(([name, version]) => `${name} ${version}`)
  const end = interrupted ? ' (stopped before its end)' : ''
  return (
    `${date}, ${software.join(', ')}; targets read back by ${judge}, logs by SQL; took ${Math.round(seconds)} s. ` +
    `Seed ${seed}: ${command}${end}`
  )
}

const alignRow = (row: Cells, widths: readonly number[]): string =>
  row
    .map((cell, column) =>
      column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
    )
    .join('  ')
    .trimEnd()

const oneLine = (text: string): string => text.replaceAll(/\s*\n\s*/g, ' / ')

function section(title: string, texts: readonly string[]): string[] {
  if (texts.length === 0) return []
  return [`  ${title}`, ...texts.flatMap((text) => wrapped(text, '    ')), '']
}

const widestLine = 120

/** Breaks at blanks, and inside of what is longer than a line. Lines of the text itself stay lines. */
export function wrapped(text: string, indent: string): string[] {
  const room = widestLine - indent.length
  return text.split('\n').flatMap((paragraph) => {
    const lines: string[] = []
    let rest = paragraph.trimEnd()
    while (rest.length > room) {
      const blank = rest.lastIndexOf(' ', room)
      const end = blank > room / 2 ? blank : room
      lines.push(indent + rest.slice(0, end).trimEnd())
      rest = rest.slice(end).trimStart()
    }
    return [...lines, indent + rest]
  })
}
