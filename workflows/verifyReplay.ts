/** Compares what is on a target with a replay's plan and receipt (docs/evidence.md). */
import {
  allHandlersFinished,
  CancellationScope,
  condition,
  continueAsNew,
  setHandler,
  uuid4,
  workflowInfo,
} from '@temporalio/workflow'
import { parseReplayVerification } from '../src/domain/verification/replayVerification.ts'
import type { TargetProgressJson } from '../src/domain/verification/targetProgress.ts'
import { verificationIdOfWorkflowId } from '../src/domain/verification/verificationId.ts'
import type { VerificationView } from '../src/domain/verification/view.ts'
import { planReplayVerification, verifyReplaySlice } from './activities.ts'
import { accept } from './failures.ts'
import { verificationProgress } from './messages.ts'
import { requestedBy } from './requestedBy.ts'
import { type CarriedVerification, carry, progressOf, type VerificationState } from './verifyLogState.ts'
import { finish, type Slice, show, work } from './verifyParts.ts'

/**
 * Started by the API, `temporal workflow start` or any SDK with `{"replayId": …}` of a replay that is over. Returns what was
 * found: differences are a result, no failure. A workflow id `verify-replay/<uuid>` names the verification.
 */
export async function verifyReplay(
  input: unknown,
  carried?: CarriedVerification | null,
): Promise<VerificationView> {
  const { replayId } = accept(parseReplayVerification(input))
  const before = workflowInfo().continuedFromExecutionRunId === undefined ? null : (carried ?? null)
  const { workflowId } = workflowInfo()
  const id = before?.id ?? verificationIdOfWorkflowId('replay', workflowId) ?? uuid4()
  const state: VerificationState = { id, name: `replay ${replayId}`, logs: [], status: 'running' }
  setHandler(verificationProgress, () => progressOf(state), {
    description: 'How far the verification has come, and what it has found',
  })
  show(state)
  const goesOn = before !== null
  const plan = () =>
    planReplayVerification({ verificationId: id, workflowId, replayId, requestedBy: requestedBy(), goesOn })
  // The progress that it is given is what it returned before.
  const slice: Slice = ({ progress, ...part }, summary) =>
    verifyReplaySlice.executeWithOptions({ summary }, [
      { ...part, replayId, progress: progress as TargetProgressJson | null },
    ])
  const end = await work(state, plan, slice, before)
  if (end === 'more') {
    await condition(allHandlersFinished)
    return await continueAsNew<typeof verifyReplay>({ replayId }, carry(state))
  }
  return await CancellationScope.nonCancellable(() => finish(state, end))
}
