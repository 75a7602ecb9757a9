import type { FlawedStanding, PlaceStanding } from '../ports.ts'
import type { Probe } from './health.ts'

/** Longer than a note takes to all places when nothing is wrong. */
const LATE_MS = 60_000

/**
 * How the places outside the database stand. Degraded, by name, where a note has waited for a minute, a place holds something
 * else of a log, or somebody inserted notes that are none. Never a reason not to be ready: the log takes events whether or not a
 * bucket is there.
 */
export const notesProbe = (
  standing: () => Promise<readonly PlaceStanding[]>,
  now: () => number = Date.now,
): Probe => ({
  name: 'notes',
  advisory: true,
  check: async () => {
    const places = await standing()
    const shown = places.map((place) => show(place, now()))
    return {
      ready: true,
      degraded: shown.some(({ state }) => state !== 'up'),
      info: { places: Object.fromEntries(shown.map(({ place, ...rest }) => [place, rest])) },
    }
  },
})

function show(
  {
    place,
    waiting,
    moreWait,
    oldestWaiting,
    conflicts,
    flawed,
    lastPlaced,
    failure,
    refusedLogs,
    refused,
  }: PlaceStanding,
  nowMs: number,
) {
  const waitedMs = oldestWaiting === null ? 0 : Math.max(0, nowMs - oldestWaiting.getTime())
  const isLate = waitedMs >= LATE_MS
  return {
    place,
    state: isLate || conflicts > 0 || flawed !== null ? 'degraded' : 'up',
    waiting,
    ...(moreWait && { moreWait }),
    ...(oldestWaiting !== null && { oldestWaitingSeconds: Math.round(waitedMs / 1_000) }),
    ...(conflicts > 0 && { conflicts }),
    ...(flawed !== null && { flawed: showFlawed(flawed) }),
    ...(lastPlaced !== null && { lastPlacedAt: lastPlaced.toISOString() }),
    ...(failure !== null && {
      failure: { code: failure.code, detail: failure.detail, at: failure.at.toISOString() },
    }),
    ...(refusedLogs > 0 && {
      refusedLogs,
      refused: refused.map(({ since, at, ...log }) => ({
        ...log,
        since: since.toISOString(),
        at: at.toISOString(),
      })),
    }),
  }
}

const showFlawed = ({ count, more, first: { size, since, ...first } }: FlawedStanding) => ({
  code: 'NOTE_REFUSED',
  count,
  ...(more && { more }),
  first: { ...first, size: size.toString(), since: since.toISOString() },
})
