import { executeChild, isCancellation, uuid4 } from '@temporalio/workflow'
import {
  type CheckpointScheduleRequest,
  parseCheckpointSchedule,
  type ScheduledCheckpointView,
} from '../src/domain/checkpointSchedule.ts'
import { checkpointDue } from './activities.ts'
import type { createCheckpoint } from './createCheckpoint.ts'
import { accept, describe, failure } from './failures.ts'
import { requestedBy } from './requestedBy.ts'

/**
 * One look of a checkpoint schedule: makes a checkpoint of the whole topic if one is due. Started by the Schedule, or by
 * anybody with the topic and the settings of one. A Schedule never has two looks at once; two that were started by hand at the
 * same moment may make two checkpoints.
 */
export async function scheduledCheckpoint(input: unknown): Promise<ScheduledCheckpointView> {
  const request = accept(parseCheckpointSchedule(input))
  const { topic } = request
  const { reason, uncovered } = await checkpointDue(request)
  if (reason === null) return { topic, reason, uncovered }
  const checkpointId = uuid4()
  await make(checkpointId, request)
  return { topic, reason, uncovered, checkpointId }
}

/** As if somebody had asked for it: the same workflow, so that whatever happens to checkpoints happens to these. */
async function make(checkpointId: string, { topic }: CheckpointScheduleRequest): Promise<void> {
  try {
    await executeChild<typeof createCheckpoint>('createCheckpoint', {
      workflowId: `checkpoint/${checkpointId}`,
      args: [{ topic }],
      memo: { requestedBy: requestedBy() },
      workflowTaskTimeout: '5 s',
      staticSummary: `Checkpoint of ${topic}`,
    })
  } catch (error) {
    if (isCancellation(error)) throw error
    const { code, detail } = describe(error)
    throw failure(code, detail)
  }
}
