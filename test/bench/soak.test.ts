import { spawnSync } from 'node:child_process'
import { resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { Course, problemsOf } from '../../bench/soak/course.ts'
import { readSoakOptions } from '../../bench/soak/options.ts'

const root = resolve(import.meta.dirname, '../..')

/** A run of 100 seconds at 100 events/s, of which memory, descriptors and pace are as said at each event. */
function course(of: (count: number) => { bytes?: number; descriptors?: number; pace?: number }): Course {
  const made = new Course('a role', 10_000)
  let atMs = 0
  for (let count = 100; count <= 10_000; count += 100) {
    const { bytes = 100, descriptors = 30, pace = 1 } = of(count)
    atMs += 1_000 / pace
    made.add({ atMs, count, vitals: { bytes, descriptors, sockets: 10 } })
  }
  return made
}
const problems = (of: Parameters<typeof course>[0]): string[] => problemsOf('a role', course(of).quarters())

describe('a long run', () => {
  it('that stays as it is has no problem', () => {
    expect(problems(() => ({}))).toEqual([])
    const [first] = course(() => ({})).quarters()
    expect(first).toMatchObject({ bytes: 100, descriptors: 30, sockets: 10 })
    expect(first?.eventsPerSecond).toBeCloseTo(100)
  })

  it('that grows or slows down does', () => {
    expect(problems((count) => ({ bytes: 100 + count / 400 }))).toEqual(['a role: memory grew 1.18 times'])
    expect(problems((count) => ({ descriptors: 30 + Math.floor(count / 1_000) }))).toEqual([
      expect.stringMatching(/^a role: descriptors grew from 3[01]\.\d to 3[89]\.\d$/),
    ])
    expect(problems((count) => ({ pace: count > 7_500 ? 0.5 : 1 }))).toEqual([
      'a role: slowed down 2.00 times',
    ])
  })

  it('that was too short says so', () => {
    const short = new Course('a role', 10)
    short.add({ atMs: 1, count: 10, vitals: null })
    expect(problemsOf('a role', short.quarters())).toEqual(['a role: too short to tell'])
  })
})

describe('npm run soak', () => {
  it('ingests, replays and reads everything back', { timeout: 120_000 }, () => {
    const args = ['--import', 'tsx', 'bench/soak.ts', '--json', '--events', '20000', '--edge', '1000']
    const { stdout, stderr } = spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8' })
    // How flat it is, so few events do not show.
    const { events, accepted, missing, doubled, outOfOrder, bytesDiffering, foreign, edges } = JSON.parse(
      stdout.trimEnd().split('\n').at(-1) ?? stderr,
    )
    expect({ events, accepted, missing, doubled, outOfOrder, bytesDiffering, foreign }).toEqual({
      events: 20_000,
      accepted: 20_000,
      missing: 0,
      doubled: 0,
      outOfOrder: 0,
      bytesDiffering: 0,
      foreign: 0,
    })
    expect(edges.start).toBeGreaterThan(0)
    expect(edges.end).toBeGreaterThan(0)
  })

  it('checks its options', () => {
    expect(readSoakOptions([])).toEqual({ events: 10_000_000, partitions: 4, edge: 100_000, json: false })
    for (const wrong of [
      ['--events', '5'],
      ['--edge', '999'],
      ['--events', '20000', '--edge', '10000'],
      ['x'],
    ])
      expect(() => readSoakOptions(wrong)).toThrow(TypeError)
  })
})
