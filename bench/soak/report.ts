import { formatCount, formatRate } from '../run/say.ts'
import { formatBytes } from '../run/vitals.ts'
import { problemsOf as courseProblems, type Quarter } from './course.ts'
import type { SoakResult } from './run.ts'

/** Design §11: a page at the end of a long log takes at most this much longer than one at its start. */
const mostEdgeRatio = 1.5
/** Design §11, of each role. */
const mostRoleBytes = 400 * 2 ** 20

/** Everything that does not hold. */
export function problemsOf({ courses, edges, judgement }: SoakResult): string[] {
  const problems = courses.flatMap((course) => courseProblems(course.name, course.quarters()))
  for (const { name, most } of courses.map((course) => ({
    name: course.name,
    most: mostOf(course.quarters()),
  })))
    if (most !== null && most > mostRoleBytes) problems.push(`${name}: took ${formatBytes(most)} on average`)
  if (!(edges.start / edges.end <= mostEdgeRatio))
    problems.push(`pages at the end of a log take ${(edges.start / edges.end).toFixed(2)} times as long`)
  if (!judgement.clean)
    problems.push(`the target is not what was produced: ${judgement.target.examples.join('; ')}`)
  return problems
}

function mostOf(quarters: readonly Quarter[]): number | null {
  const known = quarters.map(({ bytes }) => bytes).filter((bytes) => bytes !== null)
  return known.length === 0 ? null : Math.max(...known)
}

export function formatSoak({ filled, courses, edges, judgement }: SoakResult): string {
  const { target } = judgement
  const rows = courses.flatMap((course) => [
    [course.name, '1st quarter', '2nd', '3rd', '4th'],
    ...quarterRows(course.quarters()),
    [],
  ])
  const lines = rows.map(([label = '', ...cells]) =>
    `  ${label.padEnd(18)}${cells.map((cell) => cell.padStart(14)).join('')}`.trimEnd(),
  )
  return [
    `  ${formatCount(filled.produced)} events, ${formatCount(filled.accepted)} accepted`,
    '',
    ...lines,
    `  A replay at the start of a log of ${formatCount(edges.logSize)}: ${formatRate(edges.start)}; ` +
      `at its end: ${formatRate(edges.end)}; ${(edges.start / edges.end).toFixed(2)} times as long`,
    '',
    `  On the target ${formatCount(target.records)}: missing ${target.missing}, doubled ${target.doubled}, out of order ` +
      `${target.outOfOrder}, bytes differing ${target.bytesDiffering}, foreign ${target.foreign} (${judgement.judge})`,
  ].join('\n')
}

function quarterRows(quarters: readonly Quarter[]): string[][] {
  const show = (value: number | null): string => (value === null ? '—' : value.toFixed(1))
  return [
    ['  events/s', ...quarters.map(({ eventsPerSecond }) => formatCount(eventsPerSecond))],
    ['  memory', ...quarters.map(({ bytes }) => (bytes === null ? '—' : formatBytes(bytes)))],
    ['  descriptors', ...quarters.map(({ descriptors }) => show(descriptors))],
    ['  sockets', ...quarters.map(({ sockets }) => show(sockets))],
  ]
}

/** The one object of `--json`. */
export function toJson(result: SoakResult, problems: readonly string[]): Record<string, unknown> {
  const { filled, courses, edges, judgement } = result
  const { missing, doubled, outOfOrder, bytesDiffering, foreign } = judgement.target
  return {
    ok: problems.length === 0,
    problems,
    events: filled.produced,
    accepted: filled.accepted,
    ...{ missing, doubled, outOfOrder, bytesDiffering, foreign },
    courses: Object.fromEntries(courses.map((course) => [course.name, course.quarters()])),
    edges,
  }
}
