import { uuid4, workflowInfo } from '@temporalio/workflow'
import type { CheckpointResult } from '../activities/contract.ts'
import { parseCheckpointRequest } from '../src/domain/checkpointRequest.ts'
import { storeCheckpoint } from './activities.ts'
import { accept } from './failures.ts'
import { requestedBy } from './requestedBy.ts'

const namedId = /^checkpoint\/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/i

/**
 * Computes size and root of each log below an offset and stores them. The input is the body of `POST /checkpoint`.
 * A workflow id `checkpoint/<uuid>` names the checkpoint; with any other id it gets a UUID that retries share.
 */
export async function createCheckpoint(input: unknown): Promise<CheckpointResult> {
  const request = accept(parseCheckpointRequest(input))
  const checkpointId = namedId.exec(workflowInfo().workflowId)?.[1]?.toLowerCase() ?? uuid4()
  return await storeCheckpoint({ checkpointId, request, requestedBy: requestedBy() })
}
