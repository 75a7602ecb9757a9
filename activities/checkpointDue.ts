import { type CheckpointScheduleRequest, dueReason } from '../src/domain/checkpointSchedule.ts'
import type { CheckpointDue } from './contract.ts'
import type { ActivityDependencies } from './dependencies.ts'
import { logsOf } from './ranges.ts'

/** Compares how far the logs of a topic are with what checkpoints cover. Reads only. Throws UNKNOWN_TOPIC. */
export async function checkpointDue(
  { log, checkpoints }: Pick<ActivityDependencies, 'log' | 'checkpoints'>,
  request: CheckpointScheduleRequest,
): Promise<CheckpointDue> {
  await logsOf(log, request.topic, undefined)
  const { newest, uncovered } = await checkpoints.standingOf(request.topic)
  const reason = dueReason(request, { newestAgeMs: newest?.ageMs ?? null, uncovered })
  return { reason, uncovered: String(uncovered) }
}
