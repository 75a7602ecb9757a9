import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { formatBar, formatCount, formatDuration, formatProgress } from '../../src/cli/format.ts'
import { createMeter } from '../../src/cli/meter.ts'
import { createTerminal } from '../../src/cli/terminal.ts'
import type { ReplayView } from '../../src/domain/replayView.ts'
import { replayView } from '../api/edge.ts'

const at = (events: number, scanned: number, total: number): ReplayView => ({
  ...replayView('r-1', 'running'),
  progress: { events: String(events), scanned: String(scanned), total: String(total) },
})

describe('the meter', () => {
  test('tells events per second and the time left by positions passed', () => {
    const meter = createMeter()
    expect(meter(at(0, 0, 10_000), 0)).toEqual({ eventsPerSecond: 0, secondsLeft: null })
    expect(meter(at(500, 2_000, 10_000), 1_000)).toEqual({ eventsPerSecond: 500, secondsLeft: 4 })
  })

  test('looks at the last ten seconds only', () => {
    const meter = createMeter()
    meter(at(0, 0, 1_000_000), 0)
    for (let second = 1; second <= 30; second++) {
      const speed = meter(at(second * 100, second * 100, 1_000_000), second * 1_000)
      expect(speed.eventsPerSecond).toBe(100)
    }
    const stalled = [31, 36, 41, 42].map((second) => meter(at(3_000, 3_000, 1_000_000), second * 1_000))
    expect(stalled.at(-1)).toEqual({ eventsPerSecond: 0, secondsLeft: null })
  })

  test('starts again after a pause', () => {
    const meter = createMeter()
    meter(at(100, 100, 1_000), 0)
    meter({ ...at(100, 100, 1_000), status: 'paused' }, 60_000)
    expect(meter(at(200, 200, 1_000), 61_000).eventsPerSecond).toBe(100)
  })
})

test('a bar is never wider than the terminal and never full before the end', () => {
  fc.assert(
    fc.property(
      fc.nat(),
      fc.nat(),
      fc.integer({ min: 1, max: 300 }),
      fc.double({ min: 0, max: 1e9, noNaN: true }),
      (scanned, rest, columns, rate) => {
        const view = at(scanned, scanned, scanned + rest + 1)
        const bar = formatBar(view, { eventsPerSecond: rate, secondsLeft: rate }, columns, false)
        expect(bar.length).toBeLessThanOrEqual(Math.max(columns, 1))
        expect(bar).not.toContain('100.0 %')
      },
    ),
  )
})

test('counts beyond 2^53 keep every digit', () => {
  expect(formatCount('9223372036854775807')).toBe('9,223,372,036,854,775,807')
})

test('a paused replay says how to go on', () => {
  const text = formatProgress({ ...at(1, 1, 2), status: 'paused' }, { eventsPerSecond: 9, secondsLeft: 9 })
  expect(text).toBe('paused  50.0 %  1 events  go on with: pnpm replay resume r-1')
})

test.each([
  [0.2, '1 s'],
  [59.5, '1 min 0 s'],
  [3_599, '59 min 59 s'],
  [90_061, '25 h 1 min'],
])('%d seconds are %s', (seconds, text) => {
  expect(formatDuration(seconds)).toBe(text)
})

test('on a terminal the progress line is redrawn in place and ended before the next line', () => {
  let written = ''
  const write = (text: string) => {
    written += text
    return true
  }
  const stdout = { isTTY: true, columns: 40, write } as unknown as NodeJS.WriteStream
  const terminal = createTerminal({ stdout, stderr: stdout }, { json: false, color: true })
  terminal.redraw('50 %')
  terminal.redraw('60 %')
  terminal.line('done \u001b[31mred\nfake line')
  expect(written).toBe('\r\u001b[K50 %\r\u001b[K60 %\ndone  [31mred fake line\n')
})

test.each([
  [true, true],
  [false, false],
])('colour %s', (color, expected) => {
  const bar = formatBar(at(1, 1, 2), { eventsPerSecond: 1, secondsLeft: 1 }, 100, color)
  expect(bar.includes('\u001b[')).toBe(expected)
})
