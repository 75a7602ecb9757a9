import { Counter, Gauge, type Registry } from 'prom-client'
import type { Placement, PlaceStanding } from '../ports.ts'
import { createRefresh } from './scraped.ts'

/** What workers count of the notes that they send. */
export interface NoteMetrics {
  notePlaced(place: string, outcome: Placement['outcome']): void
  noteFailed(place: string): void
}

export function createNoteMetrics(registry: Registry): NoteMetrics {
  const placed = new Counter({
    name: 'notes_placed_total',
    help: 'Notes of which it was found out what becomes of them at a place, by outcome',
    labelNames: ['place', 'outcome'] as const,
    registers: [registry],
  })
  const failures = new Counter({
    name: 'note_failures_total',
    help: 'Attempts to send a note that failed, by place',
    labelNames: ['place'] as const,
    registers: [registry],
  })
  return {
    notePlaced: (place, outcome) => placed.inc({ place, outcome }),
    noteFailed: (place) => failures.inc({ place }),
  }
}

/**
 * How the places stand, as the database has it. While it does not answer, the gauges hold nothing: a missing value must not
 * look like a value.
 */
export function registerPlaceMetrics(
  registry: Registry,
  standing: () => Promise<readonly PlaceStanding[]>,
): void {
  const options = { labelNames: ['place'] as const, registers: [registry], collect: () => refresh() }
  const waiting = new Gauge({
    name: 'notes_waiting',
    help: 'Notes that a place does not have yet, counted to 10000',
    ...options,
  })
  const more = new Gauge({
    name: 'notes_waiting_more',
    help: '1 when more notes may wait than notes_waiting says: there are too many to count, or the database has not been looked through yet',
    ...options,
  })
  const oldest = new Gauge({
    name: 'notes_oldest_waiting_seconds',
    help: 'Age of the oldest note that a place does not have yet; 0 when none waits',
    ...options,
  })
  const conflicts = new Gauge({
    name: 'notes_conflicting',
    help: 'Notes where a place holds something else of the log: an alarm',
    ...options,
  })
  const flawed = new Gauge({
    name: 'notes_flawed',
    help: 'Notes that are never sent, since they are not what their rows say, counted to 10000: an alarm',
    ...options,
  })
  const flawedSeconds = new Gauge({
    name: 'notes_flawed_seconds',
    help: 'Since when the first of the notes is known that are not what their rows say',
    labelNames: ['place', 'topic', 'partition', 'incarnation', 'checkpoint', 'code'] as const,
    registers: [registry],
    collect: () => refresh(),
  })
  const refusedLogs = new Gauge({
    name: 'notes_refused_logs',
    help: 'Logs of which a place does not take a note',
    ...options,
  })
  const refused = new Gauge({
    name: 'notes_refused_seconds',
    help: 'Since when a place has not taken a note of a log, for the twenty that it has refused the longest',
    labelNames: ['place', 'topic', 'partition', 'incarnation', 'code'] as const,
    registers: [registry],
    collect: () => refresh(),
  })
  const refresh = createRefresh(standing, [], (places) => {
    for (const gauge of [waiting, more, oldest, conflicts, flawed, flawedSeconds, refusedLogs, refused])
      gauge.reset()
    for (const { place, ...found } of places) {
      waiting.set({ place }, found.waiting)
      more.set({ place }, found.moreWait ? 1 : 0)
      oldest.set({ place }, ageSeconds(found.oldestWaiting))
      conflicts.set({ place }, found.conflicts)
      flawed.set({ place }, found.flawed?.count ?? 0)
      if (found.flawed !== null) {
        const { topic, partition, incarnation, checkpointId: checkpoint, since } = found.flawed.first
        flawedSeconds.set(
          { ...{ place, topic, partition, incarnation, checkpoint }, code: 'NOTE_REFUSED' },
          ageSeconds(since),
        )
      }
      refusedLogs.set({ place }, found.refusedLogs)
      for (const { topic, partition, incarnation, code, since } of found.refused)
        refused.set({ place, topic, partition, incarnation, code }, ageSeconds(since))
    }
  })
}

const ageSeconds = (since: Date | null): number =>
  since === null ? 0 : Math.max(0, (Date.now() - since.getTime()) / 1_000)
