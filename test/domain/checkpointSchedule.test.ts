import { describe, expect, it } from 'vitest'
import {
  dueReason,
  lookPeriod,
  nameOfSettings,
  parseCheckpointSchedule,
  parseCheckpointSettings,
} from '../../src/domain/checkpointSchedule.ts'

describe('settings of a checkpoint schedule', () => {
  it.each([
    [{ everySeconds: 5 }],
    [{ everySeconds: 31_536_000, everyEvents: 1 }],
    [{ everyEvents: 1_000_000_000_000, lookEverySeconds: 3_600 }],
    [{ everySeconds: 60, everyEvents: 10, lookEverySeconds: 60 }],
  ])('%j', (given) => {
    expect(parseCheckpointSettings(given)).toEqual({ ok: true, value: given })
    const request = { topic: 'orders', ...given }
    expect(parseCheckpointSchedule(request)).toEqual({ ok: true, value: request })
  })

  it.each([
    [undefined, ''],
    [{}, 'everySeconds'],
    [{ everySeconds: 0 }, 'everySeconds'],
    [{ everySeconds: 4 }, 'everySeconds'],
    [{ everySeconds: -60 }, 'everySeconds'],
    [{ everySeconds: 31_536_001 }, 'everySeconds'],
    [{ everySeconds: 7.5 }, 'everySeconds'],
    [{ everySeconds: '60' }, 'everySeconds'],
    [{ everyEvents: 0 }, 'everyEvents'],
    [{ everyEvents: -1 }, 'everyEvents'],
    [{ everyEvents: 1_000_000_000_001 }, 'everyEvents'],
    [{ everyEvents: null }, 'everyEvents'],
    [{ everyEvents: 10, lookEverySeconds: 0 }, 'lookEverySeconds'],
    [{ everyEvents: 10, lookEverySeconds: 3_601 }, 'lookEverySeconds'],
    [{ everySeconds: 60, lookEverySeconds: 10 }, 'lookEverySeconds'],
    [{ everySeconds: 60, everyEvents: 10, lookEverySeconds: 61 }, 'lookEverySeconds'],
    [{ everySeconds: 60, topic: 'orders' }, 'topic'],
    [{ everySeconds: 60, every: 1 }, 'every'],
  ])('%j is refused by the name of %s', (given, path) => {
    const parsed = parseCheckpointSettings(given)
    expect(parsed.ok ? [] : parsed.problems.map((problem) => problem.path)).toEqual([path])
  })

  it('a topic is needed where there is none in the address', () => {
    const parsed = parseCheckpointSchedule({ everySeconds: 60 })
    expect(parsed.ok ? [] : parsed.problems.map(({ path }) => path)).toEqual(['topic'])
  })

  it('are said in words', () => {
    expect(nameOfSettings({ everySeconds: 60, everyEvents: 10 })).toBe('every 60 seconds or 10 events')
  })
})

describe('a look', () => {
  it('comes as often as it must', () => {
    expect(lookPeriod({ everySeconds: 86_400 })).toBe(86_400)
    expect(lookPeriod({ everyEvents: 10 })).toBe(15)
    expect(lookPeriod({ everyEvents: 10, lookEverySeconds: 60 })).toBe(60)
    expect(lookPeriod({ everySeconds: 10, everyEvents: 10 })).toBe(10)
    expect(lookPeriod({ everySeconds: 100, everyEvents: 10 })).toBe(15)
  })

  it.each([
    // The interval alone: each look makes one, but looks that follow at once do not.
    [{ everySeconds: 60 }, null, 0n, 'interval'],
    [{ everySeconds: 60 }, 59_900, 0n, 'interval'],
    [{ everySeconds: 60 }, 100, 1_000_000n, null],
    // The number alone: nothing logged, nothing made, however old the newest one is.
    [{ everyEvents: 100 }, null, 0n, null],
    [{ everyEvents: 100 }, 1e12, 99n, null],
    [{ everyEvents: 100 }, 0, 100n, 'events'],
    // Both: at the look nearest to the end of the interval, or when so many were logged.
    [{ everySeconds: 3_600, everyEvents: 100 }, 3_592_499, 99n, null],
    [{ everySeconds: 3_600, everyEvents: 100 }, 3_592_500, 0n, 'interval'],
    [{ everySeconds: 3_600, everyEvents: 100 }, 10, 2n ** 70n, 'events'],
  ] as const)(
    'of %j, newest %s ms old, %s leaves not covered: %s',
    (settings, newestAgeMs, uncovered, due) => {
      expect(dueReason(settings, { newestAgeMs, uncovered })).toBe(due)
    },
  )
})
