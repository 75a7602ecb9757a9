/** Verifies logs against what they say of themselves, slice after slice, a few logs at once (docs/evidence.md). */
import {
  allHandlersFinished,
  CancellationScope,
  CancelledFailure,
  condition,
  continueAsNew,
  isCancellation,
  setCurrentDetails,
  setHandler,
  upsertSearchAttributes,
  uuid4,
  workflowInfo,
} from '@temporalio/workflow'
import type { FinishVerificationInput } from '../activities/contract.ts'
import {
  nameOfRequest,
  parseVerificationRequest,
  type VerificationRequest,
} from '../src/domain/verification/request.ts'
import { verificationIdOfWorkflowId } from '../src/domain/verification/verificationId.ts'
import type { VerificationView } from '../src/domain/verification/view.ts'
import { finishVerification, planVerification, verifyLogSlice } from './activities.ts'
import { accept, describe, failure } from './failures.ts'
import { verificationProgress } from './messages.ts'
import { requestedBy } from './requestedBy.ts'
import { verificationVerdict } from './searchAttributes.ts'
import {
  adoptLogs,
  type CarriedVerification,
  carry,
  detailsOf,
  hasDamage,
  type LogVerification,
  progressOf,
  type VerificationState,
} from './verifyLogState.ts'

/**
 * Started by the API, a Schedule, `temporal workflow start` or any SDK with the JSON of a verification request; nothing
 * means all logs. A workflow id `verify-log/<uuid>` names the verification; with any other id it gets a UUID. Returns
 * what was found: damage is a result, no failure. `carried` is what continue-as-new hands over; from others it is ignored.
 */
export async function verifyLog(
  input?: unknown,
  carried?: CarriedVerification | null,
): Promise<VerificationView> {
  const request = accept(parseVerificationRequest(input))
  const before = workflowInfo().continuedFromExecutionRunId === undefined ? null : (carried ?? null)
  const { workflowId } = workflowInfo()
  const id = before?.id ?? verificationIdOfWorkflowId('log', workflowId) ?? uuid4()
  const state: VerificationState = { id, name: nameOfRequest(request), logs: [], status: 'running' }
  setHandler(verificationProgress, () => progressOf(state), {
    description: 'How far the verification has come, and what it has found',
  })
  show(state)
  const end = await work(state, request, before)
  if (end === 'more') {
    await condition(allHandlersFinished)
    return await continueAsNew<typeof verifyLog>(request, carry(state))
  }
  return await CancellationScope.nonCancellable(() => finish(state, end))
}

type End = Omit<FinishVerificationInput, 'verificationId'>

/** What can be cancelled. Never throws: how it ended is the result; `more` when logs are left for the next run. */
async function work(
  state: VerificationState,
  request: VerificationRequest,
  carried: CarriedVerification | null,
): Promise<End | 'more'> {
  try {
    const { workflowId } = workflowInfo()
    const verificationId = state.id
    const plan = await planVerification({ verificationId, workflowId, request, requestedBy: requestedBy() })
    adoptLogs(state, plan.logs, carried)
    await verifyLogs(state, plan.concurrency)
    if (state.logs.some(({ phase }) => phase !== 'done')) return 'more'
    return { verdict: hasDamage(state) ? 'damaged' : 'intact' }
  } catch (error) {
    if (isCancellation(error) || CancellationScope.current().consideredCancelled)
      return { verdict: 'cancelled', error: { code: 'CANCELLED', detail: 'the verification was cancelled' } }
    return { verdict: 'failed', error: describe(error) }
  }
}

/** Some logs at once, until all are done or the history has grown enough. Rejects with the first failure. */
async function verifyLogs(state: VerificationState, concurrency: number): Promise<void> {
  const queue = state.logs.filter(({ phase }) => phase !== 'done')
  const failures: unknown[] = []
  const scope = new CancellationScope()
  const lane = async (): Promise<void> => {
    try {
      for (let log = queue.shift(); log !== undefined; log = queue.shift()) {
        await verifyOne(state, log)
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

async function verifyOne(state: VerificationState, log: LogVerification): Promise<void> {
  log.phase = 'running'
  const { logId } = log
  while (!workflowInfo().continueAsNewSuggested) {
    const { progress } = log
    const summary = `${log.name} from leaf ${progress?.size ?? 0}`
    const next = await verifyLogSlice.executeWithOptions({ summary }, [
      { verificationId: state.id, logId, progress },
    ])
    log.progress = next
    log.checked = next.size
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
async function finish(state: VerificationState, end: End): Promise<VerificationView> {
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

function show(state: VerificationState): void {
  upsertSearchAttributes([{ key: verificationVerdict, value: state.status }])
  setCurrentDetails(detailsOf(state))
}
