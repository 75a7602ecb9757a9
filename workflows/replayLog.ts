/** One log of a replay: slice after slice until its range is done. */
import {
  ActivityFailure,
  ApplicationFailure,
  CancellationScope,
  CancelledFailure,
  condition,
  continueAsNew,
  getExternalWorkflowHandle,
  setCurrentDetails,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow'
import type { PlannedLog, SliceResult } from '../activities/contract.ts'
import { replaySlice, touchCursor } from './activities.ts'
import { reportLog, setPaused } from './messages.ts'

export interface ReplayLogInput {
  readonly planId: string
  readonly log: PlannedLog
  /** For people: source and target. */
  readonly name: string
  readonly paused: boolean
  /** From the run before, if there was one. */
  readonly carried?: { readonly startedAtMs: number; readonly position: SliceResult }
}

/** Group offsets expire after 7 days by default (KIP-211): a pause renews them in good time. */
const TOUCH_INTERVAL = '1 day'
/** A log reports after each slice at first, later each time it has run another 50th longer: so reports stay few. */
const REPORTS_PER_AGE = 50

/** Not started by people: a child of `replay`. Returns when the cursor is at the end of the range. */
export async function replayLog(input: ReplayLogInput): Promise<SliceResult> {
  const { planId, log, name } = input
  const work = { planId, logId: log.logId }
  const startedAtMs = input.carried?.startedAtMs ?? Date.now()
  let position: SliceResult = input.carried?.position ?? { cursor: log.from, events: '0', done: false }
  let paused = input.paused
  let slice: CancellationScope | null = null
  let reportedAtMs = Date.now()

  setHandler(setPaused, (value) => {
    paused = value
    if (paused) slice?.cancel()
  })

  async function runSlice(): Promise<void> {
    const scope = new CancellationScope()
    slice = scope
    const summary = `${name} from offset ${position.cursor}`
    try {
      position = await scope.run(() => replaySlice.executeWithOptions({ summary }, [work]))
    } catch (error) {
      // Stopped before it knew its cursor; when the whole log is cancelled, that goes on below.
      if (!scope.consideredCancelled || isFinal(error)) throw error
    } finally {
      slice = null
    }
    throwIfCancelled()
  }

  while (!position.done) {
    if (paused) {
      await report(log.partition, position, true)
      while (!(await condition(() => !paused, TOUCH_INTERVAL))) await touchCursor(work)
      await report(log.partition, position, false)
    }
    await runSlice()
    setCurrentDetails(
      `${name}: at offset ${position.cursor} of ${log.to}, ${position.events} events produced`,
    )
    const now = Date.now()
    if (now - reportedAtMs >= (now - startedAtMs) / REPORTS_PER_AGE && !position.done) {
      reportedAtMs = now
      await report(log.partition, position, false)
    }
    if (workflowInfo().continueAsNewSuggested && !position.done)
      await continueAsNew<typeof replayLog>({ ...input, paused, carried: { startedAtMs, position } })
  }
  return position
}

/**
 * What is to be cancelled is not tried again: a slice of a killed worker ends with its heartbeat time-out, one that
 * lost Kafka with that. Only what trying again would not mend is still a failure.
 */
const isFinal = (error: unknown): boolean =>
  error instanceof ActivityFailure &&
  error.cause instanceof ApplicationFailure &&
  error.cause.nonRetryable === true

/** A slice that was cancelled returns where it stopped: the cancellation itself goes on here. */
function throwIfCancelled(): void {
  if (CancellationScope.current().consideredCancelled) throw new CancelledFailure('the log was cancelled')
}

async function report(partition: number, position: SliceResult, idle: boolean): Promise<void> {
  const { parent } = workflowInfo()
  if (parent === undefined) return
  const { cursor, events } = position
  await getExternalWorkflowHandle(parent.workflowId).signal(reportLog, { partition, cursor, events, idle })
}
