/** What Temporal knows about one replay. All calls are bounded in time and throw ServiceError. */
import {
  type Client,
  defaultPayloadConverter,
  WorkflowExecutionAlreadyStartedError,
  type WorkflowExecutionDescription,
  WorkflowNotFoundError,
} from '@temporalio/client'
import type { RecoveryRequest } from '../domain/recoveryRequest.ts'
import type { ReplayRequest } from '../domain/replay.ts'
import { workflowIdOfReplay } from '../domain/replayId.ts'
import { parseReplayRequest } from '../domain/replayRequest.ts'
import type { ReplayView } from '../domain/replayView.ts'
import { ServiceError } from '../errors.ts'
import { fromFailure, fromTemporal } from './temporalErrors.ts'

const CALL_MS = 8_000
/** A worker must answer; without one the store's word has to do. */
const QUERY_MS = 2_000
/** Longer than the workflow waits for its slices to stop. */
const UPDATE_MS = 12_000

export type Asked<Value> = Value | 'missing' | 'ended'

export interface ReplayWorkflows {
  /** `running` when one with this id runs already, or did at this moment. */
  start(
    replayId: string,
    request: ReplayRequest,
    requestedBy: string,
    recovery?: RecoveryRequest,
  ): Promise<'started' | 'running'>
  describe(replayId: string): Promise<WorkflowExecutionDescription['status']['name'] | null>
  /** Null when no worker answers. */
  progress(replayId: string): Promise<ReplayView | null>
  /** What its last run was started with; null when it is not known. */
  request(replayId: string): Promise<ReplayRequest | null>
  /** Why it failed. */
  failure(replayId: string): Promise<ServiceError>
  control(replayId: string, update: 'pause' | 'resume'): Promise<Asked<ReplayView>>
  cancel(replayId: string): Promise<Asked<'asked'>>
}

export function replayWorkflows(client: Client, taskQueue: string): ReplayWorkflows {
  const handleOf = (replayId: string) => client.workflow.getHandle(workflowIdOfReplay(replayId))
  const bounded = async <Value>(ms: number, call: () => Promise<Value>): Promise<Value> => {
    try {
      return await client.withDeadline(Date.now() + ms, call)
    } catch (error) {
      throw error instanceof WorkflowNotFoundError || error instanceof WorkflowExecutionAlreadyStartedError
        ? error
        : fromTemporal(error)
    }
  }
  const orAbsent = async <Value, Absent>(
    absent: Absent,
    call: () => Promise<Value>,
  ): Promise<Value | Absent> => {
    try {
      return await call()
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) return absent
      throw error
    }
  }
  const statusOf = (replayId: string) =>
    orAbsent(null, async () => (await bounded(CALL_MS, () => handleOf(replayId).describe())).status.name)
  const whyAbsent = async (replayId: string): Promise<'missing' | 'ended'> =>
    (await statusOf(replayId)) === null ? 'missing' : 'ended'

  return {
    async start(replayId, request, requestedBy, recovery) {
      const options = {
        taskQueue,
        workflowId: workflowIdOfReplay(replayId),
        args: recovery === undefined ? [request] : [request, null, recovery],
        memo: { requestedBy },
        staticSummary: `${request.topic} → ${request.targetTopic ?? 'its default target'}`,
        // One that is over may run again: it finds its plan and goes on, or says how it ended.
        workflowIdReusePolicy: 'ALLOW_DUPLICATE',
        workflowIdConflictPolicy: 'FAIL',
        workflowTaskTimeout: '5 s',
      } as const
      try {
        await bounded(CALL_MS, () => client.workflow.start('replay', options))
        return 'started'
      } catch (error) {
        if (error instanceof WorkflowExecutionAlreadyStartedError) return 'running'
        throw error
      }
    },
    describe: statusOf,
    async progress(replayId) {
      try {
        return await bounded(QUERY_MS, () => handleOf(replayId).query<ReplayView>('progress'))
      } catch (error) {
        if (error instanceof WorkflowNotFoundError || error instanceof ServiceError) return null
        throw error
      }
    },
    request: (replayId) =>
      bounded(CALL_MS, async () => {
        const { history } = await client.workflowService.getWorkflowExecutionHistory({
          namespace: client.options.namespace,
          execution: { workflowId: workflowIdOfReplay(replayId) },
          maximumPageSize: 1,
        })
        const payload = history?.events?.[0]?.workflowExecutionStartedEventAttributes?.input?.payloads?.[0]
        if (payload === undefined || payload === null) return null
        const parsed = parseReplayRequest(defaultPayloadConverter.fromPayload(payload))
        return parsed.ok ? parsed.value : null
      }),
    async failure(replayId) {
      try {
        await bounded(CALL_MS, () => handleOf(replayId).result())
        return new ServiceError('INTERNAL', 'the workflow did not fail')
      } catch (error) {
        return error instanceof ServiceError ? error : fromFailure(error)
      }
    },
    async control(replayId, update) {
      const view = await orAbsent(null, () =>
        bounded(UPDATE_MS, () => handleOf(replayId).executeUpdate<ReplayView, []>(update)),
      )
      return view ?? (await whyAbsent(replayId))
    },
    async cancel(replayId) {
      const done = await orAbsent(null, async () => {
        await bounded(CALL_MS, () => handleOf(replayId).cancel())
        return 'asked' as const
      })
      return done ?? (await whyAbsent(replayId))
    },
  }
}
