import { type CheckpointRequest, parseCheckpointRequest } from '../domain/checkpointRequest.ts'
import type { ReplayRequest } from '../domain/replay.ts'
import { isReplayId, replayIdOfWorkflowId } from '../domain/replayId.ts'
import { parseReplayRequest } from '../domain/replayRequest.ts'
import { badInput, CliFailure } from './failure.ts'

/** Flags as typed. */
export interface ReplayFlags {
  readonly topic: string
  readonly checkpointId?: string
  readonly fromOffset?: string
  readonly toOffset?: string
  readonly targetTopic?: string
  readonly partition?: string
  readonly eventTypes?: string
  readonly sources?: string
  readonly tenantIds?: string
}

/** The request that flags ask for. Throws CliFailure that names the flag. */
export function replayRequestOf(flags: ReplayFlags): ReplayRequest {
  const filters = {
    ...(flags.eventTypes !== undefined && { eventTypes: listOf(flags.eventTypes, '--event-types') }),
    ...(flags.sources !== undefined && { sources: listOf(flags.sources, '--sources') }),
    ...(flags.tenantIds !== undefined && { tenantIds: listOf(flags.tenantIds, '--tenant-ids') }),
  }
  const parsed = parseReplayRequest({
    topic: flags.topic,
    ...(flags.checkpointId !== undefined && { checkpointId: flags.checkpointId }),
    ...(flags.fromOffset !== undefined && { fromOffset: flags.fromOffset }),
    ...(flags.toOffset !== undefined && { toOffset: flags.toOffset }),
    ...(flags.targetTopic !== undefined && { targetTopic: flags.targetTopic }),
    ...(flags.partition !== undefined && { partition: partitionOf(flags.partition) }),
    ...(Object.keys(filters).length > 0 && { filters }),
  })
  if (!parsed.ok) throw badInput(parsed.problems)
  return parsed.value
}

export interface CheckpointFlags {
  readonly topic: string
  readonly partition?: string
  readonly offset?: string
}

/** Throws CliFailure that names the flag. */
export function checkpointRequestOf(flags: CheckpointFlags): CheckpointRequest {
  const parsed = parseCheckpointRequest({
    topic: flags.topic,
    ...(flags.partition !== undefined && { partition: partitionOf(flags.partition) }),
    ...(flags.offset !== undefined && { offset: offsetOf(flags.offset) }),
  })
  if (!parsed.ok) throw badInput(parsed.problems)
  return parsed.value
}

/** A replay id, or the workflow id that holds one, as Temporal shows it. Throws CliFailure. */
export function replayIdOf(given: string): string {
  const id = replayIdOfWorkflowId(given) ?? given
  if (isReplayId(id)) return id
  throw new CliFailure(2, 'BAD_REQUEST', `"${given.slice(0, 50)}" is not a replay id`)
}

/** `5000`, or `Offset:5000` as Kafka's console consumer prints it. */
const offsetOf = (given: string): string => given.trim().replace(/^offset:\s*/i, '')

/** A number where it is one; what is not, the schema refuses with its own words. */
export const partitionOf = (given: string): number | string =>
  /^\d{1,10}$/.test(given) ? Number(given) : given

function listOf(given: string, flag: string): readonly string[] {
  const items = given
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '')
  if (items.length === 0) throw new CliFailure(2, 'BAD_REQUEST', `${flag}: needs at least one name`)
  return items
}
