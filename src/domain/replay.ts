import type { Hash, LogId, Offset } from './model.ts'

/** Which events of a range are wanted. An absent or empty list admits all; lists are joined by AND. */
export interface EventFilters {
  readonly eventTypes?: readonly string[]
  readonly sources?: readonly string[]
  readonly tenantIds?: readonly string[]
}

/** What people send: the body of `POST /replay` and the input of the workflow `replay`. Offsets are decimal strings. */
export interface ReplayRequest {
  readonly topic: string
  readonly checkpointId?: string
  readonly partition?: number
  readonly fromOffset?: string
  readonly toOffset?: string
  readonly targetTopic?: string
  readonly filters?: EventFilters
}

/** One log's share of a replay; `[from, to)`. */
export interface ReplayLogPlan {
  readonly logId: LogId
  readonly partition: number
  readonly from: Offset
  readonly to: Offset
  /** Events that pass the filters in the range, counted when the plan was made. */
  readonly planned: bigint
  /** Partition of the target that this log goes to. */
  readonly targetPartition: number
}

/** A replay's frozen ranges, filters, target and counts, made before anything is produced. */
export interface ReplayPlan {
  readonly replayId: string
  /** Random UUID: names the transactional ids and the cursor groups, so that they are never met again. */
  readonly planId: string
  /** SHA-256 of the canonical JSON of the plan, hex: travels in the cursor's metadata. */
  readonly planHash: string
  readonly request: ReplayRequest
  readonly topic: string
  readonly targetTopic: string
  readonly targetTopicId: string
  readonly filters: EventFilters
  readonly checkpointId: string | null
  readonly logs: readonly ReplayLogPlan[]
}

export const replayStatuses = ['planning', 'running', 'paused', 'completed', 'failed', 'cancelled'] as const
export type ReplayStatus = (typeof replayStatuses)[number]

export interface ReplayLogProgress {
  readonly partition: number
  readonly from: Offset
  readonly to: Offset
  readonly cursor: Offset
  readonly events: bigint
}

export interface ReplayReceipt {
  readonly events: bigint
  readonly logs: readonly { readonly partition: number; readonly events: bigint; readonly rootHash: Hash }[]
}
