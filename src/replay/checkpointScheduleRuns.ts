/** What came of the last looks of a checkpoint schedule. */
import {
  type Client,
  type ScheduleExecutionResult,
  WorkflowFailedError,
  WorkflowNotFoundError,
} from '@temporalio/client'
import { z } from 'zod'
import type { CheckpointScheduleRun } from '../domain/checkpointSchedule.ts'
import { fromFailure } from './temporalErrors.ts'

/** Temporal keeps ten. */
const SHOWN = 5

/** The newest first. Throws what Temporal's client throws. */
export const lastRuns = (
  client: Client,
  actions: readonly ScheduleExecutionResult[],
): Promise<readonly CheckpointScheduleRun[]> =>
  Promise.all(
    actions
      .slice(-SHOWN)
      .reverse()
      .map((action) => runOf(client, action)),
  )

const result = z.object({
  reason: z.enum(['interval', 'events']).nullable(),
  checkpointId: z.string().optional(),
})

async function runOf(
  client: Client,
  { takenAt, action: { workflow } }: ScheduleExecutionResult,
): Promise<CheckpointScheduleRun> {
  const at = takenAt.toISOString()
  const handle = client.workflow.getHandle(workflow.workflowId, workflow.firstExecutionRunId)
  try {
    const { status } = await handle.describe()
    switch (status.name) {
      case 'RUNNING':
        return { at, outcome: 'running' }
      case 'COMPLETED':
        return { at, ...outcomeOf(await handle.result()) }
      case 'FAILED':
        return { at, outcome: 'failed', error: await failureOf(handle) }
      default:
        return { at, outcome: 'cancelled' }
    }
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return { at, outcome: 'forgotten' }
    throw error
  }
}

function outcomeOf(given: unknown): Omit<CheckpointScheduleRun, 'at'> {
  const parsed = result.safeParse(given)
  if (!parsed.success) return { outcome: 'forgotten' }
  const { reason, checkpointId } = parsed.data
  if (reason === null || checkpointId === undefined) return { outcome: 'not-due' }
  return { outcome: 'checkpoint', reason, checkpointId }
}

async function failureOf(handle: { result(): Promise<unknown> }) {
  try {
    await handle.result()
    return { code: 'INTERNAL', detail: 'the workflow did not fail' }
  } catch (error) {
    if (!(error instanceof WorkflowFailedError)) throw error
    const { code, message } = fromFailure(error)
    return { code, detail: message }
  }
}
