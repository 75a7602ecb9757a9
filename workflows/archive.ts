/** Copies parts of logs to a place outside the database, and reads them back (docs/recovery.md). */
import {
  allHandlersFinished,
  CancellationScope,
  CancelledFailure,
  condition,
  continueAsNew,
  executeChild,
  isCancellation,
  setCurrentDetails,
  setHandler,
  upsertSearchAttributes,
  uuid4,
  workflowInfo,
} from '@temporalio/workflow'
import type { FinishArchiveInput } from '../activities/contract.ts'
import {
  type ArchiveRequest,
  archiveIdOfWorkflowId,
  nameOfArchive,
  parseArchiveRequest,
} from '../src/domain/archive/request.ts'
import type { ArchiveView } from '../src/domain/archive/view.ts'
import { archiveSlice, finishArchive, planArchive, sealArchive, verifyArchiveSlice } from './activities.ts'
import {
  type ArchiveState,
  adoptParts,
  type CarriedArchive,
  carryArchive,
  detailsOfArchive,
  type PartState,
  progressOfArchive,
} from './archiveState.ts'
import type { createCheckpoint } from './createCheckpoint.ts'
import { accept, describe, failure } from './failures.ts'
import { archiveProgress } from './messages.ts'
import { requestedBy } from './requestedBy.ts'
import { verificationVerdict } from './searchAttributes.ts'

type End = Omit<FinishArchiveInput, 'archiveId'>

/**
 * Started by the API, `temporal workflow start` or any SDK with the JSON of an archive request. A workflow id
 * `archive/<uuid>` names the archive; with any other id it gets a UUID. Returns the verified archive; fails with a code
 * of src/errors.ts as the failure's type. `carried` is what continue-as-new hands over; from others it is ignored.
 */
export async function archive(input: unknown, carried?: CarriedArchive | null): Promise<ArchiveView> {
  const request = accept(parseArchiveRequest(input))
  const { workflowId, continuedFromExecutionRunId } = workflowInfo()
  const before = continuedFromExecutionRunId === undefined ? null : (carried ?? null)
  const id = before?.id ?? archiveIdOfWorkflowId(workflowId) ?? uuid4()
  const state: ArchiveState = {
    ...{ id, name: nameOfArchive(request), phase: 'planning', status: 'running', parts: [] },
    manifestHash: before?.manifestHash ?? null,
    checkpointId: before?.checkpointId ?? null,
    planned: false,
  }
  setHandler(archiveProgress, () => progressOfArchive(state), {
    description: 'How far the archive has come',
  })
  show(state)
  const end = await work(state, request, before)
  if (end === 'more') {
    await condition(allHandlersFinished)
    return await continueAsNew<typeof archive>(request, carryArchive(state))
  }
  return await CancellationScope.nonCancellable(() => finish(state, end))
}

/** What can be cancelled. Never throws: how it ended is the result; `more` when something is left for the next run. */
async function work(
  state: ArchiveState,
  request: ArchiveRequest,
  before: CarriedArchive | null,
): Promise<End | 'more'> {
  const { id: archiveId } = state
  try {
    const { workflowId } = workflowInfo()
    const goesOn = before !== null
    const plan = await planArchive({ archiveId, workflowId, request, requestedBy: requestedBy(), goesOn })
    state.planned = true
    adoptParts(state, plan.logs, before)
    if (plan.uncovered && before === null) state.checkpointId = await takeCheckpoint(request)
    if (state.manifestHash === null) {
      state.phase = 'writing'
      await eachPart(state, plan.concurrency, ({ written }) => written, writeSome)
      if (state.parts.some(({ written }) => !written)) return 'more'
      state.manifestHash = (await sealArchive({ archiveId, checkpointId: state.checkpointId })).manifestHash
    }
    state.phase = 'verifying'
    await eachPart(state, plan.concurrency, ({ verified }) => verified, verifySome)
    if (state.parts.some(({ verified }) => !verified)) return 'more'
    return { status: 'verified', manifestHash: state.manifestHash }
  } catch (error) {
    if (isCancellation(error) || CancellationScope.current().consideredCancelled)
      return { status: 'cancelled', error: { code: 'CANCELLED', detail: 'the archive was cancelled' } }
    return { status: 'failed', error: describe(error) }
  }
}

/** So that a signature covers the archive to its end. */
async function takeCheckpoint({ topic, partition }: ArchiveRequest): Promise<string> {
  const { id } = await executeChild<typeof createCheckpoint>('createCheckpoint', {
    workflowId: `checkpoint/${uuid4()}`,
    args: [{ topic, ...(partition !== undefined && { partition }) }],
    memo: { requestedBy: requestedBy() },
  })
  return id
}

/** Some parts at once, until all are done or the history has grown enough. Rejects with the first failure. */
async function eachPart(
  state: ArchiveState,
  concurrency: number,
  isDone: (part: PartState) => boolean,
  step: (state: ArchiveState, part: PartState) => Promise<void>,
): Promise<void> {
  const queue = state.parts.filter((part) => !isDone(part))
  const failures: unknown[] = []
  const scope = new CancellationScope()
  const lane = async (): Promise<void> => {
    try {
      for (let part = queue.shift(); part !== undefined; part = queue.shift()) {
        while (!isDone(part)) {
          if (failures.length > 0 || workflowInfo().continueAsNewSuggested) return
          await step(state, part)
          setCurrentDetails(detailsOfArchive(state))
          // A slice that was cancelled returns where it stopped: the cancellation itself goes on here.
          if (CancellationScope.current().consideredCancelled)
            throw new CancelledFailure('the archive was cancelled')
        }
      }
    } catch (error) {
      failures.push(error)
      scope.cancel()
    }
  }
  await scope.run(() => Promise.all(Array.from({ length: concurrency }, lane)))
  if (failures.length > 0) throw failures[0]
}

async function writeSome({ id }: ArchiveState, part: PartState): Promise<void> {
  const summary = `write ${part.name} from leaf ${part.writtenLeaf}`
  const { written, done } = await archiveSlice.executeWithOptions({ summary }, [
    { archiveId: id, logId: part.logId },
  ])
  part.writtenLeaf = written
  part.written = done
}

async function verifySome({ id, manifestHash }: ArchiveState, part: PartState): Promise<void> {
  const summary = `read ${part.name} back from leaf ${part.position?.leaves ?? part.fromLeaf}`
  const { position, done } = await verifyArchiveSlice.executeWithOptions({ summary }, [
    { archiveId: id, logId: part.logId, manifestHash: manifestHash ?? '', position: part.position },
  ])
  part.position = position
  part.verified = done
}

/** Writes the end down, and only then reports it. */
async function finish(state: ArchiveState, end: End): Promise<ArchiveView> {
  state.status = end.status
  state.phase = 'done'
  const view = state.planned ? await finishArchive({ ...end, archiveId: state.id }) : null
  show(state)
  await condition(allHandlersFinished)
  if (end.status === 'cancelled') throw new CancelledFailure('the archive was cancelled')
  if (view === null || end.status === 'failed')
    throw failure(end.error?.code ?? 'INTERNAL', end.error?.detail ?? 'the archive ended without a result')
  return view
}

function show(state: ArchiveState): void {
  upsertSearchAttributes([{ key: verificationVerdict, value: state.status }])
  setCurrentDetails(detailsOfArchive(state))
}
