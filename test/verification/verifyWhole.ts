/** A log of a test's own, and what verification says of it. */
import { expect } from 'vitest'
import { verifySlice } from '../../activities/verification/verifyLogSlice.ts'
import type { LogEntry } from '../../src/domain/model.ts'
import { type Progress, type ProgressJson, progressToJson } from '../../src/domain/verification/progress.ts'
import type { Store } from '../../src/store/store.ts'
import { appendTo, type OpenLog, openLog } from '../store/fixture.ts'
import { verdict } from './trueLog.ts'

/** To the end, in as many slices as `pages` asks for. */
export async function verifyWhole(
  { audit }: Pick<Store, 'audit'>,
  { log: { logId } }: OpenLog,
  pages = Number.POSITIVE_INFINITY,
): Promise<Progress> {
  const deps = { audit, verdict, observer: { leavesVerified: () => undefined }, now: Date.now }
  let before: ProgressJson | null = null
  for (let slice = 0; ; slice++) {
    let left = pages
    const progress = await verifySlice(deps, logId, before, {
      signal: new AbortController().signal,
      due: () => left-- <= 0,
      report: () => undefined,
    })
    if (progress.done) return progress
    if (slice > 1_000) throw new Error('it does not end')
    before = JSON.parse(JSON.stringify(progressToJson(progress)))
  }
}

/** Appended in several batches, up to the offset `end`. */
export async function logOf(
  store: Store,
  entries: readonly LogEntry[],
  end: bigint,
  start = 0n,
): Promise<OpenLog> {
  const open = await openLog(store, start)
  for (let from = 0; from < entries.length; from += 700) {
    const part = entries.slice(from, from + 700)
    const next = entries[from + 700]
    const at = next === undefined ? end : offsetOf(next)
    expect((await appendTo(store, open, part, at)).kind).toBe('appended')
  }
  return open
}

function offsetOf(entry: LogEntry): bigint {
  if (entry.kind === 'record') return entry.records.offsets[entry.index] as bigint
  return entry.kind === 'gap' ? entry.from : entry.batch.firstOffset
}
