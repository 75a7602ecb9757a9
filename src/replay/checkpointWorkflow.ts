import { randomUUID } from 'node:crypto'
import type { Client } from '@temporalio/client'
import type { CheckpointResult } from '../../activities/contract.ts'
import type { CheckpointRequest } from '../domain/checkpointRequest.ts'
import { ServiceError } from '../errors.ts'
import { fromTemporal } from './temporalErrors.ts'

const START_MS = 8_000
/** The workflow itself gives up then, so that nothing is made after it was said to have failed. */
const EXECUTION_MS = 30_000
const RESULT_MS = EXECUTION_MS + 5_000

/** Starts `createCheckpoint` and waits for it, bounded. Throws ServiceError. */
export async function startCheckpoint(
  client: Client,
  taskQueue: string,
  request: CheckpointRequest,
  requestedBy: string,
): Promise<CheckpointResult> {
  const id = randomUUID()
  const options = {
    taskQueue,
    workflowId: `checkpoint/${id}`,
    args: [request],
    memo: { requestedBy },
    staticSummary: `Checkpoint of ${request.topic}`,
    workflowExecutionTimeout: EXECUTION_MS,
    workflowTaskTimeout: '5 s',
  } as const
  try {
    const handle = await client.withDeadline(Date.now() + START_MS, () =>
      client.workflow.start('createCheckpoint', options),
    )
    const result: unknown = await client.withDeadline(Date.now() + RESULT_MS, () => handle.result())
    if (isCheckpoint(result, id)) return result
    throw new ServiceError('INTERNAL', 'the workflow returned no checkpoint')
  } catch (error) {
    throw fromTemporal(error)
  }
}

const isCheckpoint = (result: unknown, id: string): result is CheckpointResult =>
  typeof result === 'object' && result !== null && 'id' in result && result.id === id
