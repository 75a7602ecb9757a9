/** What verifications of logs and of replays have in common: part after part, slice after slice, and the end. */
import {
  allHandlersFinished,
  CancellationScope,
  CancelledFailure,
  condition,
  isCancellation,
  setCurrentDetails,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow'
import type { FinishVerificationInput, PlannedVerification } from '../activities/contract.ts'
import type { VerificationView } from '../src/domain/verification/view.ts'
import { finishVerification } from './activities.ts'
import { describe, failure } from './failures.ts'
import { verificationVerdict } from './searchAttributes.ts'
import {
  adoptLogs,
  type CarriedVerification,
  detailsOf,
  hasDamage,
  type LogVerification,
  type PartProgress,
  type VerificationState,
} from './verifyLogState.ts'

interface SliceInput {
  readonly verificationId: string
  readonly logId: number
  readonly progress: PartProgress | null
}

/** Runs one slice of one part; `summary` is for people. */
export type Slice = (input: SliceInput, summary: string) => Promise<PartProgress>

export type End = Omit<FinishVerificationInput, 'verificationId'>

/** What can be cancelled. Never throws: how it ended is the result; `more` when parts are left for the next run. */
export async function work(
  state: VerificationState,
  plan: () => Promise<PlannedVerification>,
  slice: Slice,
  carried: CarriedVerification | null,
): Promise<End | 'more'> {
  try {
    const { logs, concurrency } = await plan()
    adoptLogs(state, logs, carried)
    await verifyParts(state, concurrency, slice)
    if (state.logs.some(({ phase }) => phase !== 'done')) return 'more'
    return { verdict: hasDamage(state) ? 'damaged' : 'intact' }
  } catch (error) {
    if (isCancellation(error) || CancellationScope.current().consideredCancelled)
      return { verdict: 'cancelled', error: { code: 'CANCELLED', detail: 'the verification was cancelled' } }
    return { verdict: 'failed', error: describe(error) }
  }
}

/** Some logs at once, until all are done or the history has grown enough. Rejects with the first failure. */
async function verifyParts(state: VerificationState, concurrency: number, slice: Slice): Promise<void> {
  const queue = state.logs.filter(({ phase }) => phase !== 'done')
  const failures: unknown[] = []
  const scope = new CancellationScope()
  const lane = async (): Promise<void> => {
    try {
      for (let log = queue.shift(); log !== undefined; log = queue.shift()) {
        await verifyOne(state, log, slice)
        if (failures.length > 0 || workflowInfo().continueAsNewSuggested) return
      }
    } catch (error) {
      failures.push(error)
      scope.cancel()
    }
  }
  await scope.run(() => Promise.all(Array.from({ length: concurrency }, lane)))
  if (failures.length > 0) throw failures[0]
}

async function verifyOne(state: VerificationState, log: LogVerification, slice: Slice): Promise<void> {
  log.phase = 'running'
  const { logId } = log
  while (!workflowInfo().continueAsNewSuggested) {
    const { progress } = log
    const summary = `${log.name} from leaf ${progress?.size ?? 0}`
    const next = await slice({ verificationId: state.id, logId, progress }, summary)
    log.progress = next
    log.checked = String(BigInt(next.size) - BigInt(next.detached?.leaves ?? 0))
    if (next.done) {
      log.phase = 'done'
      log.damaged = Object.keys(next.findings.counts).length > 0
      log.progress = null
    }
    setCurrentDetails(detailsOf(state))
    if (next.done) return
    // A slice that was cancelled returns where it stopped: the cancellation itself goes on here.
    if (CancellationScope.current().consideredCancelled)
      throw new CancelledFailure('the verification was cancelled')
  }
}

/** Writes the end down, and only then reports it. */
export async function finish(state: VerificationState, end: End): Promise<VerificationView> {
  state.status = end.verdict
  const planned = state.logs.length > 0 || end.verdict === 'intact' || end.verdict === 'damaged'
  const view = planned ? await finishVerification({ ...end, verificationId: state.id }) : null
  show(state)
  await condition(allHandlersFinished)
  if (end.verdict === 'cancelled') throw new CancelledFailure('the verification was cancelled')
  if (view === null || end.verdict === 'failed')
    throw failure(
      end.error?.code ?? 'INTERNAL',
      end.error?.detail ?? 'the verification ended without a result',
    )
  return view
}

export function show(state: VerificationState): void {
  upsertSearchAttributes([{ key: verificationVerdict, value: state.status }])
  setCurrentDetails(detailsOf(state))
}
