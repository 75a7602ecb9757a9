import type { RoleProcess } from '../run/roles.ts'
import { type Vitals, vitalsOf } from '../run/vitals.ts'

/** Where a long run was at a moment, and what the process that does the work held then. */
export interface Moment {
  /** Of a clock that only goes forward. */
  readonly atMs: number
  /** Events done so far. */
  readonly count: number
  /** Null where it cannot be told. */
  readonly vitals: Vitals | null
}

/** A quarter of a run, by events. */
export interface Quarter {
  readonly eventsPerSecond: number
  /** Means over the moments seen in it; null where nothing could be told. */
  readonly bytes: number | null
  readonly descriptors: number | null
  readonly sockets: number | null
}

/** The course of a long run: what is done grows, and what it takes must not. */
export class Course {
  readonly name: string
  readonly #goal: number
  readonly #everyMs: number
  readonly #moments: Moment[] = []

  /** `goal`: events in all; moments closer to each other than `everyMs` are left out. */
  constructor(name: string, goal: number, everyMs = 500) {
    this.name = name
    this.#goal = goal
    this.#everyMs = everyMs
  }

  add(moment: Moment): void {
    const last = this.#moments.at(-1)
    if (moment.count === 0) return
    if (last !== undefined && moment.atMs - last.atMs < this.#everyMs && moment.count < this.#goal) return
    if (last?.count !== moment.count) this.#moments.push(moment)
  }

  /** The same with what the process holds now. */
  see(role: RoleProcess, { atMs, count }: { readonly atMs: number; readonly count: number }): void {
    this.add({ atMs, count, vitals: vitalsOf(role.pid) })
  }

  /** Four of them; the start, before the first moment in which something was done, is in none. */
  quarters(): readonly Quarter[] {
    const first = this.#moments[0]
    if (first === undefined) return []
    const size = (this.#goal - first.count) / 4
    return [0, 1, 2, 3].map((number) => {
      const from = first.count + number * size
      const inside = this.#moments.filter(({ count }) => count >= from && count <= from + size + 1)
      return quarterOf(inside)
    })
  }
}

function quarterOf(moments: readonly Moment[]): Quarter {
  const [first, last] = [moments[0], moments.at(-1)]
  const seconds = first === undefined || last === undefined ? 0 : (last.atMs - first.atMs) / 1000
  const done = first === undefined || last === undefined ? 0 : last.count - first.count
  const known = moments.map(({ vitals }) => vitals).filter((vitals) => vitals !== null)
  const mean = (part: keyof Vitals): number | null =>
    known.length === 0 ? null : known.reduce((sum, vitals) => sum + vitals[part], 0) / known.length
  return {
    eventsPerSecond: seconds === 0 ? Number.NaN : done / seconds,
    bytes: mean('bytes'),
    descriptors: mean('descriptors'),
    sockets: mean('sockets'),
  }
}

/** Issue bars: memory within 10 %; a page within 1.5 times (design §11). A descriptor or two come and go with a request. */
const mostMemoryGrowth = 1.1
const mostDescriptorGrowth = 2
const mostSlowing = 1.5

/** What is not flat: the last quarter beside the first. */
export function problemsOf(name: string, quarters: readonly Quarter[]): string[] {
  const [first, last] = [quarters[0], quarters.at(-1)]
  if (first === undefined || last === undefined) return [`${name}: nothing was seen`]
  const problems: string[] = []
  if (first.bytes !== null && last.bytes !== null && last.bytes > first.bytes * mostMemoryGrowth)
    problems.push(`${name}: memory grew ${(last.bytes / first.bytes).toFixed(2)} times`)
  for (const part of ['descriptors', 'sockets'] as const) {
    const [before, after] = [first[part], last[part]]
    if (before !== null && after !== null && after > before + mostDescriptorGrowth)
      problems.push(`${name}: ${part} grew from ${before.toFixed(1)} to ${after.toFixed(1)}`)
  }
  if (Number.isNaN(first.eventsPerSecond) || Number.isNaN(last.eventsPerSecond))
    problems.push(`${name}: too short to tell`)
  else if (first.eventsPerSecond > last.eventsPerSecond * mostSlowing)
    problems.push(`${name}: slowed down ${(first.eventsPerSecond / last.eventsPerSecond).toFixed(2)} times`)
  return problems
}
