/** When notes that a place did not take are tried again: each log by itself, and nobody else waits for it. */

/** Failures that came one after another, and when the next attempt may be made, ms since the epoch. */
export interface Rest {
  readonly tries: number
  readonly untilMs: number
}

/** A log of which a place did not take a note. */
export interface LogRest extends Rest {
  readonly logId: number
  /** The place took nothing else either: with the first note that it takes, this log is tried again at once. */
  readonly ofPlace: boolean
}

/** Logs that rest together, since too many do to have each a pause of its own written down. */
export interface LogGroup extends Rest {
  readonly ofPlace: boolean
  readonly count: number
  /** Base64 of a bit for each id. */
  readonly logs: string
}

export interface FlawedRest extends Rest {
  /** Behind which of them to go on; left out for the first. */
  readonly from?: string
  /** One of those before it was flawed still. */
  readonly found?: boolean
}

/** What is left over after a look at the notes that wait at a place. Goes through Temporal as JSON. */
export interface PlaceRests {
  readonly logs: readonly LogRest[]
  /** Those beyond MAX_LOG_RESTS; nothing where there are none. */
  readonly groups?: readonly LogGroup[]
  /** The place took nothing: until then only logs are tried that have not failed. */
  readonly place: Rest | null
  /** Notes that are not what their rows say: they are looked at again, some at a time. */
  readonly flawed: FlawedRest | null
  /** Logs that have not been tried, since the place took nothing. */
  readonly untried: boolean
}

export const NO_RESTS: PlaceRests = { logs: [], place: null, flawed: null, untried: false }

const FIRST_PAUSE_MS = 1_000
const MAX_PAUSE_MS = 60_000
/** Logs that have a pause each; of a place that refuses more, the others have one together. */
export const MAX_LOG_RESTS = 2_000
/** What a group can name, in 128 KB. Logs with ids beyond it, in an installation that never had a million, are tried with each look. */
const MAX_GROUPED_ID = 2 ** 20
/** With more than so many logs that rest, there is no look more often than each second. */
const MANY_RESTS = 100

/** 1 s, 2 s, 4 s … up to a minute. */
const pauseMs = (tries: number): number =>
  Math.min(MAX_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(Math.max(tries, 1) - 1, 30))

/** Another worker's clock may have set the time: nobody waits longer than a pause. */
export const isResting = ({ untilMs }: Rest, nowMs: number): boolean =>
  untilMs > nowMs && untilMs - nowMs <= MAX_PAUSE_MS

export const restAfter = (before: Rest | null | undefined, nowMs: number): Rest => {
  const tries = (before?.tries ?? 0) + 1
  return { tries, untilMs: nowMs + pauseMs(tries) }
}

/** What one look at a place came to. */
export interface LookResult {
  readonly nowMs: number
  /** Notes of which it is known now what became of them. */
  readonly placed: number
  /** Logs that failed; whether it was about the log alone. */
  readonly failed: ReadonlyMap<number, { readonly ofLog: boolean }>
  /** Logs that were left for another time, whatever they waited for. */
  readonly kept: (rest: LogRest) => boolean
  /** It was broken off: nothing but failures of the place. */
  readonly away: boolean
  readonly untried: boolean
  /** As the notes left it that are not what their rows say. */
  readonly flawed: FlawedRest | null
}

/** What rests after a look; null when nothing does. */
export function restsAfter(before: PlaceRests, look: LookResult): PlaceRests | null {
  const { nowMs, placed, failed, kept } = look
  const rests = logRests(before)
  const known = new Map(rests.map((rest) => [rest.logId, rest]))
  const again = [...failed].map(([logId, { ofLog }]) => ({
    logId,
    ...restAfter(known.get(logId), nowMs),
    ofPlace: !ofLog && placed === 0,
  }))
  const logs = [...rests.filter((rest) => !failed.has(rest.logId) && kept(rest)), ...again]
  const place = look.away ? restAfter(before.place, nowMs) : placed > 0 ? null : restingStill(before, nowMs)
  const { flawed } = look
  if (logs.length === 0 && place === null && flawed === null) return null
  const groups = groupsOf(logs.slice(MAX_LOG_RESTS))
  const carried = groups.length > 0 && { groups }
  return { logs: logs.slice(0, MAX_LOG_RESTS), ...carried, place, flawed, untried: look.untried }
}

/** All logs that rest, those of the groups too. */
export const logRests = ({ logs, groups = [] }: PlaceRests): readonly LogRest[] => [
  ...logs,
  ...groups.flatMap(({ tries, untilMs, ofPlace, logs: bits }) =>
    idsOf(bits).map((logId) => ({ logId, tries, untilMs, ofPlace })),
  ),
]

/** How many logs rest. */
export const restingCount = ({ logs, groups = [] }: PlaceRests): number =>
  groups.reduce((sum, { count }) => sum + count, logs.length)

/** One with what the place alone is to blame for, which is tried again with the first note that it takes, and one with the others. */
function groupsOf(rests: readonly LogRest[]): readonly LogGroup[] {
  const groups: LogGroup[] = []
  for (const ofPlace of [false, true]) {
    const members = rests.filter((rest) => rest.ofPlace === ofPlace && rest.logId < MAX_GROUPED_ID)
    if (members.length === 0) continue
    const largest = (of: (rest: LogRest) => number): number =>
      members.reduce((most, rest) => Math.max(most, of(rest)), 0)
    groups.push({
      tries: largest(({ tries }) => tries),
      untilMs: largest(({ untilMs }) => untilMs),
      ofPlace,
      count: members.length,
      logs: bitsOf(members.map(({ logId }) => logId)),
    })
  }
  return groups
}

function bitsOf(ids: readonly number[]): string {
  const most = ids.reduce((one, other) => Math.max(one, other), 0)
  const bytes = new Uint8Array(Math.floor(most / 8) + 1)
  for (const id of ids) bytes[id >> 3] = (bytes[id >> 3] ?? 0) | (1 << (id & 7))
  return Buffer.from(bytes).toString('base64')
}

function idsOf(bits: string): readonly number[] {
  const ids: number[] = []
  for (const [index, byte] of Buffer.from(bits, 'base64').entries())
    for (let bit = 0; bit < 8; bit++) if ((byte >> bit) & 1) ids.push(index * 8 + bit)
  return ids
}

/** Also when its time is over: the count goes on with the next failure. */
const restingStill = ({ place, logs }: PlaceRests, nowMs: number): Rest | null =>
  place !== null && (isResting(place, nowMs) || logs.some(({ ofPlace }) => ofPlace)) ? place : null

/**
 * When to look again, if nothing new comes. `tookMs`: of the last look. While there are logs that have not been tried they are
 * not made to wait for the place's pause: it may have been others that failed.
 */
export function againInMs(
  { logs, groups = [], place, flawed, untried }: PlaceRests,
  nowMs: number,
  tookMs: number,
): number {
  if (untried) return Math.max(FIRST_PAUSE_MS, Math.min(tookMs, MAX_PAUSE_MS))
  const placeMs = place !== null && isResting(place, nowMs) ? place.untilMs - nowMs : 0
  const due = [...logs, ...groups, ...(flawed === null ? [] : [flawed])].map((rest) =>
    isResting(rest, nowMs) ? rest.untilMs - nowMs : 0,
  )
  const first = due.length === 0 ? FIRST_PAUSE_MS : due.reduce((one, other) => Math.min(one, other))
  return Math.max(first, placeMs, due.length > MANY_RESTS ? FIRST_PAUSE_MS : 10)
}
