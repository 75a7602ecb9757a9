/** Archives as the edges have them done: thin over Temporal's client and the store. */
import { randomUUID } from 'node:crypto'
import { type WorkflowExecutionDescription, WorkflowNotFoundError } from '@temporalio/client'
import { partsToArchive } from '../../activities/archive/planArchive.ts'
import { viewOfArchive } from '../archive/viewOfArchive.ts'
import type { HoldRequest, HoldView } from '../domain/archive/hold.ts'
import { type ArchiveRequest, nameOfArchive, workflowIdOfArchive } from '../domain/archive/request.ts'
import { type ArchiveView, archiveEnded } from '../domain/archive/view.ts'
import { isErrorCode, ServiceError } from '../errors.ts'
import type { ArchiveStore, HoldStore, Page, QueryStore } from '../ports.ts'
import type { TemporalClient } from './temporalClient.ts'
import { fromFailure, fromTemporal } from './temporalErrors.ts'

export interface ArchiveOperationsDependencies {
  readonly temporal: TemporalClient
  readonly taskQueue: string
  readonly archives: ArchiveStore
  readonly holds: HoldStore
  readonly logs: Pick<QueryStore, 'allLogs'>
  /** Whether a place for archives is configured. */
  readonly hasPlace: boolean
}

/** All throw ServiceError and are bounded in time. A `check…` changes nothing: it refuses what would fail. */
export interface ArchiveOperations {
  /** Throws UNKNOWN_TOPIC, UNKNOWN_PARTITION, RANGE_EMPTY, ARCHIVE_PLACE_MISSING. */
  checkArchive(request: ArchiveRequest): Promise<void>
  startArchive(request: ArchiveRequest, requestedBy: string): Promise<ArchiveView>
  /** The two throw ARCHIVE_NOT_FOUND; the second ARCHIVE_ENDED. */
  getArchive(id: string): Promise<ArchiveView>
  cancelArchive(id: string): Promise<ArchiveView>
  listArchives(query: { cursor?: string; limit: number }): Promise<Page<ArchiveView>>
  /** Throws HOLD_UNCHANGED. */
  putHold(request: HoldRequest, held: boolean, requestedBy: string): Promise<HoldView>
  listHolds(): Promise<readonly HoldView[]>
}

const CALL_MS = 8_000

export function createArchiveOperations(deps: ArchiveOperationsDependencies): ArchiveOperations {
  const { client } = deps.temporal
  const bounded = async <Value>(call: () => Promise<Value>): Promise<Value> => {
    try {
      return await client.withDeadline(Date.now() + CALL_MS, call)
    } catch (error) {
      throw error instanceof WorkflowNotFoundError ? error : fromTemporal(error)
    }
  }
  const find = (id: string) => findArchive(deps, bounded, id)
  return {
    async checkArchive(request) {
      if (!deps.hasPlace)
        throw new ServiceError(
          'ARCHIVE_PLACE_MISSING',
          'No place for archives is configured: set ARCHIVE_PLACE',
        )
      await partsToArchive(deps, request)
    },
    async startArchive(request, requestedBy) {
      const id = randomUUID()
      const workflowId = workflowIdOfArchive(id)
      await bounded(() =>
        client.workflow.start('archive', {
          taskQueue: deps.taskQueue,
          workflowId,
          args: [request],
          memo: { requestedBy },
          staticSummary: `Archive of ${nameOfArchive(request)}`,
          workflowTaskTimeout: '5 s',
        }),
      )
      return planned(id, request, requestedBy)
    },
    getArchive: find,
    async listArchives(query) {
      const { items, nextCursor } = await deps.archives.listArchives(query)
      return { items: items.map(viewOfArchive), nextCursor }
    },
    async cancelArchive(id) {
      const view = await find(id)
      if (archiveEnded(view.status))
        throw new ServiceError('ARCHIVE_ENDED', `the archive ${id} is over: ${view.status}`)
      try {
        await bounded(() => client.workflow.getHandle(view.workflowId).cancel())
      } catch (error) {
        if (!(error instanceof WorkflowNotFoundError)) throw error
        throw new ServiceError('ARCHIVE_ENDED', `the archive ${id} does not run any more`)
      }
      return await find(id)
    },
    putHold: (request, held, requestedBy) => deps.holds.putHold(request, held, requestedBy),
    listHolds: () => deps.holds.listHolds(),
  }
}

/** As it looks before a worker has taken it up. */
const planned = (id: string, request: unknown, createdBy: string): ArchiveView => ({
  ...{ id, workflowId: workflowIdOfArchive(id), status: 'running', request, place: '', createdBy },
  createdAt: new Date().toISOString(),
  progress: { logs: 0, leaves: '0', written: '0', files: 0, bytes: '0' },
  logs: [],
})

/** Of an activity that failed and will be started again; not of one that runs. */
const SCHEDULED = 1

function waitingOf({ raw }: WorkflowExecutionDescription): Pick<ArchiveView, 'waiting'> {
  for (const { state, attempt, lastFailure } of raw.pendingActivities ?? []) {
    const code = lastFailure?.applicationFailureInfo?.type
    if (state !== SCHEDULED || !isErrorCode(code)) continue
    return {
      waiting: { code, detail: lastFailure?.message ?? '', attempts: Math.max(0, (attempt ?? 1) - 1) },
    }
  }
  return {}
}

/** What ended, the store knows for good. What was refused before it was planned, only Temporal knows. */
async function findArchive(
  { temporal: { client }, archives }: ArchiveOperationsDependencies,
  bounded: <Value>(call: () => Promise<Value>) => Promise<Value>,
  id: string,
): Promise<ArchiveView> {
  const record = await archives.getArchive(id)
  const stored = record === null ? null : viewOfArchive(record)
  if (stored !== null && archiveEnded(stored.status)) return stored
  const handle = client.workflow.getHandle(stored?.workflowId ?? workflowIdOfArchive(id))
  const described = await bounded(() => handle.describe()).catch((error: unknown) => {
    if (error instanceof WorkflowNotFoundError) return null
    throw error
  })
  const status = described?.status.name ?? null
  if (stored === null && status === null)
    throw new ServiceError('ARCHIVE_NOT_FOUND', `there is no archive ${id}`)
  const view = stored ?? planned(id, {}, '')
  if (status === 'COMPLETED') return view
  if (described !== null && status === 'RUNNING') return { ...view, ...waitingOf(described) }
  if (status !== 'FAILED') {
    const detail =
      status === 'CANCELLED' ? 'it was cancelled before it began' : 'its workflow does not run any more'
    return { ...view, status: 'cancelled', error: { code: 'CANCELLED', detail } }
  }
  const { code, message } = await handle.result().then(
    () => new ServiceError('INTERNAL', 'the workflow did not fail'),
    (error: unknown) => fromFailure(error),
  )
  return { ...view, status: 'failed', error: { code, detail: message } }
}
