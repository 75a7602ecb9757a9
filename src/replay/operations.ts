/** Replays and checkpoints as the edges have them done: thin over Temporal's client, the store and the checks. */
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { type CheckDependencies, checkReplay } from '../../activities/checkReplay.ts'
import type { CheckpointResult } from '../../activities/contract.ts'
import { checkCheckpoint } from '../../activities/storeCheckpoint.ts'
import type { CheckpointRequest } from '../domain/checkpointRequest.ts'
import type { RecoveryRequest } from '../domain/recoveryRequest.ts'
import type { ReplayRequest, ReplayStatus } from '../domain/replay.ts'
import { isReplayId, workflowIdOfReplay } from '../domain/replayId.ts'
import { normaliseReplayRequest, sameReplayRequest } from '../domain/replayRequest.ts'
import { hasEnded, progressOf, type ReplayView } from '../domain/replayView.ts'
import { ServiceError } from '../errors.ts'
import type { Page, ReplayRecord, ReplayStore } from '../ports.ts'
import { startCheckpoint } from './checkpointWorkflow.ts'
import { mergeViews, viewOfRecord } from './replayRecordView.ts'
import { type Asked, type ReplayWorkflows, replayWorkflows } from './replayWorkflows.ts'
import type { TemporalClient } from './temporalClient.ts'

export interface ReplayOperationsDependencies extends CheckDependencies {
  readonly temporal: TemporalClient
  readonly taskQueue: string
  readonly replays: ReplayStore
}

/** All throw ServiceError and are bounded in time. A `check…` changes nothing: it refuses what would fail. */
export interface ReplayOperations {
  checkReplay(request: ReplayRequest): Promise<void>
  /** With an id that is known: the same replay again, or REPLAY_ID_REUSED. Without one it gets a random UUID. */
  startReplay(request: ReplayRequest, requestedBy: string, replayId?: string): Promise<ReplayView>
  checkCheckpoint(request: CheckpointRequest): Promise<void>
  createCheckpoint(request: CheckpointRequest, requestedBy: string): Promise<CheckpointResult>
  /** Throws REPLAY_NOT_FOUND. */
  getReplay(replayId: string): Promise<ReplayView>
  listReplays(query: { cursor?: string; limit: number; status?: ReplayStatus }): Promise<Page<ReplayView>>
  /** These throw REPLAY_NOT_FOUND, REPLAY_ENDED. A cancelled replay ends some moments later. */
  cancelReplay(replayId: string): Promise<ReplayView>
  pauseReplay(replayId: string): Promise<ReplayView>
  resumeReplay(replayId: string): Promise<ReplayView>
  /** These throw REPLAY_NOT_FOUND, CURSOR_NOT_LOST. What comes of a recovery that began, the replay itself shows. */
  checkRecovery(replayId: string): Promise<void>
  recoverCursor(replayId: string, recovery: RecoveryRequest, requestedBy: string): Promise<ReplayView>
}

/** Counting a large range takes longer; then the workflow has the last word on the target. */
const CHECK_MS = 5_000
const ENDING_MS = 5_000
const ENDING_LOOK_MS = 100
/** As long as a random replay id. */
const ANY_ID = '00000000-0000-0000-0000-000000000000'

export function createReplayOperations(deps: ReplayOperationsDependencies): ReplayOperations {
  const workflows = replayWorkflows(deps.temporal.client, deps.taskQueue)
  const getReplay = (replayId: string) => findReplay(deps.replays, workflows, replayId)
  const control = async (
    replayId: string,
    ask: (replayId: string) => Promise<Asked<unknown>>,
  ): Promise<ReplayView> => {
    const known = await deps.replays.getReplay(replayId)
    const over = known !== null && hasEnded(known.status) && !lostItsCursor(known)
    const outcome = over ? 'ended' : await ask(replayId)
    if (outcome === 'ended') throw new ServiceError('REPLAY_ENDED', `the replay ${replayId} has ended`)
    if (outcome !== 'missing') return await getReplay(replayId)
    if (known === null) throw new ServiceError('REPLAY_NOT_FOUND', `there is no replay ${replayId}`)
    throw new ServiceError('REPLAY_ENDED', `the replay ${replayId} does not run any more`)
  }
  return {
    async checkReplay(request) {
      const late = new AbortController()
      const timer = setTimeout(() => late.abort(), CHECK_MS)
      const limit = new Promise<void>((resolve) => late.signal.addEventListener('abort', () => resolve()))
      const check = checkReplay(deps, ANY_ID, request, late.signal)
      try {
        await Promise.race([check, limit])
      } finally {
        check.catch(() => undefined)
        clearTimeout(timer)
      }
    },
    async startReplay(request, requestedBy, replayId = randomUUID()) {
      if (!isReplayId(replayId)) throw new ServiceError('BAD_REQUEST', 'replayId: is not a replay id')
      const known = await deps.replays.getReplay(replayId)
      if (known !== null) requireSame(replayId, known.plan.request, request)
      if (known === null || !hasEnded(known.status)) {
        const outcome = await workflows.start(replayId, request, requestedBy)
        if (outcome === 'started' && known === null) return planning(replayId, request)
        const running = known === null ? await workflows.request(replayId) : known.plan.request
        if (running !== null) requireSame(replayId, running, request)
      }
      return await getReplay(replayId)
    },
    checkCheckpoint: async (request) => void (await checkCheckpoint(deps.log, request)),
    createCheckpoint: (request, requestedBy) =>
      startCheckpoint(deps.temporal.client, deps.taskQueue, request, requestedBy),
    getReplay,
    async listReplays(query) {
      const { items, nextCursor } = await deps.replays.listReplays(query)
      return { items: items.map(viewOfRecord), nextCursor }
    },
    cancelReplay: (replayId) => control(replayId, workflows.cancel),
    pauseReplay: (replayId) => control(replayId, (id) => workflows.control(id, 'pause')),
    resumeReplay: (replayId) => control(replayId, (id) => workflows.control(id, 'resume')),
    checkRecovery: async (replayId) => void (await requireLost(deps.replays, workflows, replayId)),
    async recoverCursor(replayId, { acceptDoubles = false }, requestedBy) {
      const { plan } = await requireLost(deps.replays, workflows, replayId)
      const outcome = await workflows.start(replayId, plan.request, requestedBy, { acceptDoubles })
      if (outcome === 'running') throw beingRecovered(replayId)
      return await getReplay(replayId)
    },
  }
}

const lostItsCursor = ({ status, error }: ReplayRecord): boolean =>
  status === 'failed' && error?.code === 'CURSOR_LOST'

async function requireLost(
  replays: ReplayStore,
  workflows: ReplayWorkflows,
  replayId: string,
): Promise<ReplayRecord> {
  await findLost(replays, replayId)
  if (!(await isOver(workflows, replayId))) throw beingRecovered(replayId)
  // What was over may have been another recovery, which began after the store was asked.
  return await findLost(replays, replayId)
}

async function findLost(replays: ReplayStore, replayId: string): Promise<ReplayRecord> {
  const record = await replays.getReplay(replayId)
  if (record === null)
    throw new ServiceError('REPLAY_NOT_FOUND', `there is no replay ${replayId} with a plan`)
  if (!lostItsCursor(record)) {
    const { status, error } = record
    const why = error === null ? '' : `, with ${error.code}`
    throw new ServiceError(
      'CURSOR_NOT_LOST',
      `the replay ${replayId} is ${status}${why}: its cursor is not lost`,
    )
  }
  return record
}

/** A failed replay is written down before its workflow is over: that is waited for, a moment. */
async function isOver(workflows: ReplayWorkflows, replayId: string): Promise<boolean> {
  for (const until = performance.now() + ENDING_MS; ; await sleep(ENDING_LOOK_MS)) {
    if ((await workflows.describe(replayId)) !== 'RUNNING') return true
    const live = await workflows.progress(replayId)
    if (live === null || !hasEnded(live.status) || performance.now() > until) return false
  }
}

const beingRecovered = (replayId: string): ServiceError =>
  new ServiceError('CURSOR_NOT_LOST', `the cursor of the replay ${replayId} is being recovered already`)

function requireSame(replayId: string, stored: ReplayRequest, request: ReplayRequest): void {
  if (!sameReplayRequest(stored, request))
    throw new ServiceError('REPLAY_ID_REUSED', `the replay ${replayId} exists with another request`)
}

/** What ended, the store knows for good. What runs, its workflow knows best; without Temporal the store has to do. */
async function findReplay(
  replays: ReplayStore,
  workflows: ReplayWorkflows,
  replayId: string,
): Promise<ReplayView> {
  const record = await replays.getReplay(replayId)
  if (record === null) return await findUnplanned(workflows, replayId)
  const stored = viewOfRecord(record)
  if (lostItsCursor(record)) return await findRecovering(workflows, stored)
  if (hasEnded(record.status)) return stored
  const [live, status] = await Promise.all([
    workflows.progress(replayId),
    workflows.describe(replayId).catch(() => null),
  ])
  if (status === 'TERMINATED' || status === 'TIMED_OUT') return stopped(record, status)
  return live === null ? stored : mergeViews(stored, live)
}

/** Failed as far as the store knows; in the first moments of a recovery its workflow knows better. */
async function findRecovering(workflows: ReplayWorkflows, stored: ReplayView): Promise<ReplayView> {
  const status = await workflows.describe(stored.replayId).catch(() => null)
  if (status !== 'RUNNING') return stored
  const { error: _, ...rest } = stored
  const running: ReplayView = { ...rest, status: 'running' }
  const live = await workflows.progress(stored.replayId)
  return live === null ? running : mergeViews(running, live)
}

/** Terminated from outside: nothing was fenced or written down, and the same start goes on where it stopped. */
function stopped(record: ReplayRecord, status: string): ReplayView {
  const how = status === 'TERMINATED' ? 'terminated' : 'timed out'
  const detail = `the workflow was ${how}; started again with the same id and request it goes on`
  return { ...viewOfRecord(record), status: 'failed', error: { code: 'CANCELLED', detail } }
}

/** Not planned yet, or refused when it was to be planned. */
async function findUnplanned(workflows: ReplayWorkflows, replayId: string): Promise<ReplayView> {
  const status = await workflows.describe(replayId)
  const request = status === null ? null : await workflows.request(replayId)
  if (request === null) throw new ServiceError('REPLAY_NOT_FOUND', `there is no replay ${replayId}`)
  const view = planning(replayId, request)
  if (status === 'RUNNING' || status === 'PAUSED') return (await workflows.progress(replayId)) ?? view
  if (status === 'FAILED') {
    const { code, message } = await workflows.failure(replayId)
    return { ...view, status: 'failed', error: { code, detail: message } }
  }
  return {
    ...view,
    status: 'cancelled',
    error: { code: 'CANCELLED', detail: 'it was cancelled before it began' },
  }
}

function planning(replayId: string, request: ReplayRequest): ReplayView {
  const { topic, targetTopic } = normaliseReplayRequest(request)
  const workflowId = workflowIdOfReplay(replayId)
  return { replayId, workflowId, status: 'planning', topic, targetTopic, progress: progressOf([]), logs: [] }
}
