import type { ReplayView } from '../domain/replayView.ts'

/** How fast a replay goes, over the last seconds. */
export interface Speed {
  readonly eventsPerSecond: number
  /** Null while nothing moves or nothing is known yet. */
  readonly secondsLeft: number | null
}

interface Sample {
  readonly atMs: number
  readonly events: number
  readonly scanned: number
}

const windowMs = 10_000

/** Feed it views as they come; `atMs` is any clock that only goes forward. */
export function createMeter(): (view: ReplayView, atMs: number) => Speed {
  let samples: Sample[] = []
  return (view, atMs) => {
    const events = Number(view.progress.events)
    const scanned = Number(view.progress.scanned)
    if (view.status !== 'running') samples = []
    samples.push({ atMs, events, scanned })
    while (samples.length > 2 && atMs - (samples[0]?.atMs ?? atMs) > windowMs) samples.shift()
    const first = samples[0]
    const seconds = first === undefined ? 0 : (atMs - first.atMs) / 1_000
    if (first === undefined || seconds <= 0) return { eventsPerSecond: 0, secondsLeft: null }
    const scannedPerSecond = (scanned - first.scanned) / seconds
    return {
      eventsPerSecond: Math.max(0, (events - first.events) / seconds),
      secondsLeft: scannedPerSecond <= 0 ? null : (Number(view.progress.total) - scanned) / scannedPerSecond,
    }
  }
}
