/** Replays logged events to a target topic: plan, one child per log, fence, receipt (docs/design.md §6). */
import {
  allHandlersFinished,
  CancellationScope,
  CancelledFailure,
  condition,
  continueAsNew,
  isCancellation,
  log,
  setCurrentDetails,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow'
import type { PlannedReplay, ReplayEnd } from '../activities/contract.ts'
import { parseRecoveryRequest, type RecoveryRequest } from '../src/domain/recoveryRequest.ts'
import { replayIdOfWorkflowId } from '../src/domain/replayId.ts'
import { normaliseReplayRequest, parseReplayRequest } from '../src/domain/replayRequest.ts'
import type { ReplayReceiptView } from '../src/domain/replayView.ts'
import { fenceReplay, finishReplay, planReplay, recordStatus, recoverCursor } from './activities.ts'
import { accept, describe, failure } from './failures.ts'
import { judge } from './receipt.ts'
import { type ReplayChildren, replayChildren } from './replayChildren.ts'
import { handleMessages } from './replayMessages.ts'
import { adoptPlan, type CarriedReplay, carry, detailsOf, type ReplayState, statusOf } from './replayState.ts'
import { requestedBy } from './requestedBy.ts'
import { replayStatus, replayTarget, replayTopic } from './searchAttributes.ts'

/**
 * Started by the API, `temporal workflow start` or any SDK with the JSON of a replay request and the workflow id
 * `replay/<replayId>`. Returns the receipt. Fails with a code of src/errors.ts as the failure's type.
 * `carried` is what continue-as-new hands over; from others it is ignored. `recovery` says that a replay of this id which
 * failed with CURSOR_LOST is to go on: `{"acceptDoubles": false}`.
 */
export async function replay(
  input: unknown,
  carried?: CarriedReplay | null,
  recovery?: unknown,
): Promise<ReplayReceiptView> {
  const state = open(input)
  const continued = workflowInfo().continuedFromExecutionRunId !== undefined
  const before = continued ? (carried ?? null) : null
  const wanted = continued || (recovery ?? null) === null ? null : accept(parseRecoveryRequest(recovery))
  state.paused = before?.paused ?? false
  const children = replayChildren(state)
  handleMessages(state, children)
  const mirror = new CancellationScope()
  const mirrored = mirror.run(() => mirrorStatus(state))

  const end = await work(state, before, wanted, children)
  state.ending = end !== 'more'
  mirror.cancel()
  await mirrored
  if (end === 'more') {
    await condition(allHandlersFinished)
    return await continueAsNew<typeof replay>(input, carry(state))
  }
  return await CancellationScope.nonCancellable(() => finish(state, end))
}

function open(input: unknown): ReplayState {
  const { workflowId } = workflowInfo()
  const replayId = replayIdOfWorkflowId(workflowId)
  if (replayId === null)
    throw failure('BAD_REQUEST', 'workflowId: must be replay/<id> with 1 to 200 of A-Z a-z 0-9 . _ : -')
  const request = normaliseReplayRequest(accept(parseReplayRequest(input)))
  return { replayId, workflowId, request, paused: false, ending: false, plan: null, logs: [], end: null }
}

/** What can be cancelled. Never throws: how it ended is the result; `more` when logs are left for the next run. */
async function work(
  state: ReplayState,
  carried: CarriedReplay | null,
  recovery: RecoveryRequest | null,
  children: ReplayChildren,
): Promise<ReplayEnd | 'more'> {
  const { replayId, request } = state
  try {
    const goesOn = carried !== null || recovery !== null
    const plan = await planReplay({ replayId, request, requestedBy: requestedBy(), goesOn })
    adoptPlan(state, plan, carried)
    if (recovery !== null && (plan.ended === null || plan.ended.error?.code === 'CURSOR_LOST'))
      await recover(state, plan, recovery)
    else if (plan.ended !== null) return plan.ended
    await children.run(plan.concurrency, plan.planId)
    return state.logs.every(({ phase }) => phase === 'done') ? { status: 'completed' } : 'more'
  } catch (error) {
    // What ends in the course of a cancellation is not tried again, and need not say that it was cancelled.
    if (isCancellation(error) || CancellationScope.current().consideredCancelled)
      return { status: 'cancelled', error: { code: 'CANCELLED', detail: 'the replay was cancelled' } }
    return { status: 'failed', error: describe(error) }
  }
}

/** From here on the replay runs again, whatever comes of it: its end is written down anew. */
async function recover(state: ReplayState, plan: PlannedReplay, recovery: RecoveryRequest): Promise<void> {
  const reopened = { ...plan, ended: null }
  const { planId } = plan
  try {
    const { logs } = await recoverCursor({ planId, acceptDoubles: recovery.acceptDoubles === true })
    adoptPlan(state, reopened, { paused: state.paused, logs })
  } finally {
    state.plan = reopened
  }
}

/** Fences every worker, writes the end down, and only then reports it. */
async function finish(state: ReplayState, end: ReplayEnd): Promise<ReplayReceiptView> {
  const endedBefore = state.plan?.ended ?? null
  state.end = endedBefore ?? (await settle(state, end))
  show(state)
  await condition(allHandlersFinished)
  const { status, receipt, error } = state.end
  if (status === 'completed' && receipt !== undefined) return receipt
  if (endedBefore !== null) throw failure('REPLAY_ENDED', `the replay of this id has ended: ${status}`)
  if (status === 'cancelled') throw new CancelledFailure('the replay was cancelled')
  throw failure(error?.code ?? 'INTERNAL', error?.detail ?? 'the replay ended without a receipt')
}

async function settle(state: ReplayState, end: ReplayEnd): Promise<ReplayEnd> {
  const { plan, replayId, request } = state
  // Refused before there was a plan: nothing was produced, and the stored replay of this id may be another one.
  if (plan === null && end.status === 'failed') return end
  let settled = end
  if (plan !== null) {
    const fenced = await fenceReplay({ planId: plan.planId })
    for (const { partition, cursor, events } of fenced.logs) {
      const entry = state.logs.find((candidate) => candidate.log.partition === partition)
      if (entry !== undefined) Object.assign(entry, { cursor, events })
    }
    if (end.status === 'completed') settled = judge(plan, fenced)
  }
  await finishReplay({ ...settled, replayId, request })
  return settled
}

/** Keeps what people see in step with the state, until it is cancelled. */
async function mirrorStatus(state: ReplayState): Promise<void> {
  let recorded = 'planning'
  try {
    for (;;) {
      show(state)
      await condition(() => statusOf(state) !== recorded && state.plan !== null && state.plan.ended === null)
      const status = state.paused ? 'paused' : 'running'
      recorded = status
      if (state.plan !== null) await recordStatus({ planId: state.plan.planId, status })
    }
  } catch (error) {
    if (!isCancellation(error)) log.error('the status could not be recorded', { error })
  }
}

function show(state: ReplayState): void {
  upsertSearchAttributes([
    { key: replayTopic, value: state.request.topic },
    { key: replayTarget, value: state.request.targetTopic },
    { key: replayStatus, value: statusOf(state) },
  ])
  setCurrentDetails(detailsOf(state))
}
