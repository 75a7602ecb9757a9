/** Verifies logs against what they say of themselves (docs/evidence.md). */
import {
  allHandlersFinished,
  CancellationScope,
  condition,
  continueAsNew,
  setHandler,
  uuid4,
  workflowInfo,
} from '@temporalio/workflow'
import type { ProgressJson } from '../src/domain/verification/progress.ts'
import { nameOfRequest, parseVerificationRequest } from '../src/domain/verification/request.ts'
import { verificationIdOfWorkflowId } from '../src/domain/verification/verificationId.ts'
import type { VerificationView } from '../src/domain/verification/view.ts'
import { planVerification, verifyLogSlice } from './activities.ts'
import { accept } from './failures.ts'
import { verificationProgress } from './messages.ts'
import { requestedBy } from './requestedBy.ts'
import { type CarriedVerification, carry, progressOf, type VerificationState } from './verifyLogState.ts'
import { finish, type Slice, show, work } from './verifyParts.ts'

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
  const goesOn = before !== null
  const plan = () =>
    planVerification({ verificationId: id, workflowId, request, requestedBy: requestedBy(), goesOn })
  const end = await work(state, plan, slice, before)
  if (end === 'more') {
    await condition(allHandlersFinished)
    return await continueAsNew<typeof verifyLog>(request, carry(state))
  }
  return await CancellationScope.nonCancellable(() => finish(state, end))
}

/** The progress that it is given is what it returned before. */
const slice: Slice = ({ progress, ...input }, summary) =>
  verifyLogSlice.executeWithOptions({ summary }, [{ ...input, progress: progress as ProgressJson | null }])
