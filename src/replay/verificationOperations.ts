/** Verifications as the edges have them done: thin over Temporal's client and the store. */
import { randomUUID } from 'node:crypto'
import { WorkflowNotFoundError } from '@temporalio/client'
import { logsToVerify } from '../../activities/verification/planVerification.ts'
import { endedReplay } from '../../activities/verification/verifyReplaySlice.ts'
import { viewOfVerification } from '../../activities/verification/viewOfVerification.ts'
import { nameOfRequest, type VerificationRequest } from '../domain/verification/request.ts'
import { workflowIdOfVerification } from '../domain/verification/verificationId.ts'
import {
  type VerificationKind,
  type VerificationProgress,
  type VerificationView,
  verificationEnded,
} from '../domain/verification/view.ts'
import { ServiceError } from '../errors.ts'
import type { Page, QueryStore, ReplayStore, VerificationStore } from '../ports.ts'
import type { TemporalClient } from './temporalClient.ts'
import { fromFailure, fromTemporal } from './temporalErrors.ts'
import { type VerificationSchedule, verificationSchedule } from './verificationSchedule.ts'

export interface VerificationOperationsDependencies {
  readonly temporal: TemporalClient
  readonly taskQueue: string
  readonly verifications: VerificationStore
  readonly replays: Pick<ReplayStore, 'getReplay'>
  readonly logs: Pick<QueryStore, 'namedLogs' | 'goneLogs'>
}

/** All throw ServiceError and are bounded in time. A `check…` changes nothing: it refuses what would fail. */
export interface VerificationOperations {
  /** Throws UNKNOWN_TOPIC, UNKNOWN_PARTITION. */
  checkVerification(request: VerificationRequest): Promise<void>
  startVerification(request: VerificationRequest, requestedBy: string): Promise<VerificationView>
  /** Throws VERIFICATION_NOT_FOUND. */
  getVerification(id: string): Promise<VerificationView>
  listVerifications(query: {
    cursor?: string
    limit: number
    kind?: VerificationKind
  }): Promise<Page<VerificationView>>
  /** Ends some moments later. Throws VERIFICATION_NOT_FOUND, VERIFICATION_ENDED. */
  cancelVerification(id: string): Promise<VerificationView>
  /** The two throw REPLAY_NOT_FOUND, REPLAY_RUNNING. */
  checkReplayVerification(replayId: string): Promise<void>
  verifyReplay(replayId: string, requestedBy: string): Promise<VerificationView>
  readonly verificationSchedule: VerificationSchedule
}

const workflowTypes = { log: 'verifyLog', replay: 'verifyReplay' } as const
const CALL_MS = 8_000
/** A worker must answer; without one the store's word has to do. */
const QUERY_MS = 2_000

export function createVerificationOperations(
  deps: VerificationOperationsDependencies,
): VerificationOperations {
  const { client } = deps.temporal
  const bounded = async <Value>(ms: number, call: () => Promise<Value>): Promise<Value> => {
    try {
      return await client.withDeadline(Date.now() + ms, call)
    } catch (error) {
      throw error instanceof WorkflowNotFoundError ? error : fromTemporal(error)
    }
  }
  const start = async (
    kind: VerificationKind,
    request: unknown,
    requestedBy: string,
    staticSummary: string,
  ): Promise<VerificationView> => {
    const id = randomUUID()
    const workflowId = workflowIdOfVerification(kind, id)
    await bounded(CALL_MS, () =>
      client.workflow.start(workflowTypes[kind], {
        taskQueue: deps.taskQueue,
        workflowId,
        args: [request],
        memo: { requestedBy },
        staticSummary,
        workflowTaskTimeout: '5 s',
      }),
    )
    return planned(id, workflowId, kind, request, requestedBy)
  }
  const find = (id: string) => findVerification(deps, bounded, id)
  return {
    checkVerification: async (request) => void (await logsToVerify(deps.logs, request)),
    startVerification: (request, requestedBy) =>
      start('log', request, requestedBy, `Verification of ${nameOfRequest(request)}`),
    checkReplayVerification: async (replayId) => void (await endedReplay(deps, replayId)),
    async verifyReplay(replayId, requestedBy) {
      await endedReplay(deps, replayId)
      return await start('replay', { replayId }, requestedBy, `Verification of the replay ${replayId}`)
    },
    getVerification: find,
    async listVerifications(query) {
      const { items, nextCursor } = await deps.verifications.listVerifications(query)
      return { items: items.map(viewOfVerification), nextCursor }
    },
    async cancelVerification(id) {
      const view = await find(id)
      if (verificationEnded(view.status))
        throw new ServiceError('VERIFICATION_ENDED', `the verification ${id} is over: ${view.status}`)
      try {
        await bounded(CALL_MS, () => client.workflow.getHandle(view.workflowId).cancel())
      } catch (error) {
        if (!(error instanceof WorkflowNotFoundError)) throw error
        throw new ServiceError('VERIFICATION_ENDED', `the verification ${id} does not run any more`)
      }
      return await find(id)
    },
    verificationSchedule: verificationSchedule(client, deps.taskQueue),
  }
}

/** As it looks before a worker has taken it up. */
export const planned = (
  id: string,
  workflowId: string,
  kind: VerificationKind,
  request: unknown,
  createdBy: string,
): VerificationView => ({
  id,
  workflowId,
  kind,
  status: 'running',
  request,
  createdAt: new Date().toISOString(),
  createdBy,
  progress: { parts: 0, partsDone: 0, checked: '0', total: '0' },
  damaged: 0,
  parts: [],
})

type Bounded = <Value>(ms: number, call: () => Promise<Value>) => Promise<Value>

/** What ended, the store knows for good. What runs, its workflow knows best; without a worker the store has to do. */
async function findVerification(
  { temporal: { client }, verifications }: VerificationOperationsDependencies,
  bounded: Bounded,
  id: string,
): Promise<VerificationView> {
  const record = await verifications.getVerification(id)
  const stored = record === null ? null : viewOfVerification(record)
  if (stored !== null && verificationEnded(stored.status)) return stored
  const kinds: readonly VerificationKind[] = stored === null ? ['log', 'replay'] : [stored.kind]
  for (const kind of kinds) {
    const workflowId = stored?.workflowId ?? workflowIdOfVerification(kind, id)
    const handle = client.workflow.getHandle(workflowId)
    const status = await bounded(CALL_MS, async () => (await handle.describe()).status.name).catch(absent)
    if (status === null) continue
    if (status !== 'RUNNING')
      return await over(status, stored ?? planned(id, workflowId, kind, {}, ''), handle)
    const live = await bounded(QUERY_MS, () => handle.query<VerificationProgress>('progress')).catch(
      () => null,
    )
    return merged(stored ?? planned(id, workflowId, kind, {}, ''), live)
  }
  if (stored !== null) return stored
  throw new ServiceError('VERIFICATION_NOT_FOUND', `there is no verification ${id}`)
}

function absent(error: unknown): null {
  if (error instanceof WorkflowNotFoundError) return null
  throw error
}

interface Ended {
  result(): Promise<unknown>
}

/** Over without a word in the store: refused before it began, or ended from outside. */
async function over(status: string, view: VerificationView, handle: Ended): Promise<VerificationView> {
  if (status === 'COMPLETED') return view
  if (status !== 'FAILED') {
    const detail =
      status === 'CANCELLED' ? 'it was cancelled before it began' : `its workflow is ${status.toLowerCase()}`
    return { ...view, status: 'cancelled', error: { code: 'CANCELLED', detail } }
  }
  const { code, message } = await handle.result().then(
    () => new ServiceError('INTERNAL', 'the workflow did not fail'),
    (error: unknown) => fromFailure(error),
  )
  return { ...view, status: 'failed', error: { code, detail: message } }
}

function merged(view: VerificationView, live: VerificationProgress | null): VerificationView {
  if (live === null) return view
  const { parts, partsDone, checked, total, damaged } = live
  return { ...view, damaged, progress: { parts, partsDone, checked, total } }
}
