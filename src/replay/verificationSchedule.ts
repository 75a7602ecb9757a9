/** The Temporal Schedule that verifies logs. */
import {
  type Client,
  ScheduleAlreadyRunning,
  ScheduleNotFoundError,
  type ScheduleOptions,
} from '@temporalio/client'
import { nameOfRequest, parseVerificationRequest } from '../domain/verification/request.ts'
import type {
  VerificationScheduleRequest,
  VerificationScheduleView,
} from '../domain/verification/schedule.ts'
import { ServiceError } from '../errors.ts'
import { fromTemporal } from './temporalErrors.ts'

/** One for each installation: several may share a namespace, but no task queue. */
export const verificationScheduleId = (taskQueue: string): string => `verify-log/${taskQueue}`

const CALL_MS = 8_000
/** A run that was missed while Temporal was away is made up for when it is this late at most. */
const CATCHUP_WINDOW = '1 hour'

export interface VerificationSchedule {
  /** Throws SCHEDULE_NOT_FOUND. */
  get(): Promise<VerificationScheduleView>
  /** Makes or changes it. A run that is due while the one before goes on is left out. */
  put(request: VerificationScheduleRequest, requestedBy: string): Promise<VerificationScheduleView>
  /** Runs under way go on. Throws SCHEDULE_NOT_FOUND. */
  remove(): Promise<void>
}

export function verificationSchedule(client: Client, taskQueue: string): VerificationSchedule {
  const scheduleId = verificationScheduleId(taskQueue)
  const handle = client.schedule.getHandle(scheduleId)
  const bounded = async <Value>(call: () => Promise<Value>): Promise<Value> => {
    try {
      return await client.withDeadline(Date.now() + CALL_MS, call)
    } catch (error) {
      if (error instanceof ScheduleAlreadyRunning) throw error
      if (error instanceof ScheduleNotFoundError)
        throw new ServiceError('SCHEDULE_NOT_FOUND', 'logs are not verified on a schedule')
      throw fromTemporal(error)
    }
  }
  const get = async (): Promise<VerificationScheduleView> => viewOf(await bounded(() => handle.describe()))
  return {
    get,
    async put({ everyMinutes, ...request }, requestedBy) {
      const options = {
        spec: { intervals: [{ every: everyMinutes * 60_000 }] },
        policies: { overlap: 'SKIP', catchupWindow: CATCHUP_WINDOW, pauseOnFailure: false },
        action: {
          type: 'startWorkflow',
          workflowType: 'verifyLog',
          workflowId: `verify-log/scheduled-${taskQueue}`,
          args: [request],
          taskQueue,
          memo: { requestedBy: `schedule of ${requestedBy}`.slice(0, 200) },
          workflowTaskTimeout: '5 s',
          staticSummary: `Verification of ${nameOfRequest(request)}`,
        },
      } satisfies Omit<ScheduleOptions, 'scheduleId'>
      try {
        await bounded(() => client.schedule.create({ scheduleId, ...options }))
      } catch (error) {
        if (!(error instanceof ScheduleAlreadyRunning)) throw error
        await bounded(() => handle.update((previous) => ({ ...options, state: previous.state })))
      }
      return await get()
    },
    async remove() {
      await get()
      await bounded(() => handle.delete())
    },
  }
}

type Description = Awaited<ReturnType<ReturnType<Client['schedule']['getHandle']>['describe']>>

function viewOf({ spec, action, info, state }: Description): VerificationScheduleView {
  const everyMs = Number(spec.intervals?.[0]?.every ?? 0)
  const request = parseVerificationRequest(action.args?.[0])
  const last = info.recentActions.at(-1)
  const next = info.nextActionTimes[0]
  return {
    everyMinutes: everyMs / 60_000,
    ...(request.ok ? request.value : {}),
    paused: state.paused,
    ...(last !== undefined && { lastRunAt: last.takenAt.toISOString() }),
    ...(next !== undefined && { nextRunAt: next.toISOString() }),
  }
}
