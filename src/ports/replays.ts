/** Replays (src/store). */
import type { Hash, LogId, Offset } from '../domain/model.ts'
import type { ReplayPlan, ReplayReceipt, ReplayStatus } from '../domain/replay.ts'

export interface ReplayLogRecord {
  readonly logId: LogId
  readonly partition: number
  readonly from: Offset
  readonly to: Offset
  readonly planned: bigint
  readonly targetPartition: number
  /** Set before the first record is sent: a missing cursor afterwards is CURSOR_LOST. */
  readonly started: boolean
  /** Mirror for people; the truth is the cursor in Kafka. */
  readonly cursor: Offset
  readonly events: bigint
  readonly rootHash: Hash | null
}

export interface ReplayRecord {
  readonly plan: ReplayPlan
  readonly status: ReplayStatus
  readonly createdAt: Date
  readonly createdBy: string
  readonly logs: readonly ReplayLogRecord[]
  readonly receipt: ReplayReceipt | null
  readonly error: { readonly code: string; readonly detail: string } | null
}

export interface Page<T> {
  readonly items: readonly T[]
  /** Opaque; null at the end. */
  readonly nextCursor: string | null
}

export interface ReplayStore {
  /** Inserts the plan or returns what is stored under the replay id (compare `request` yourself). */
  insertPlan(plan: ReplayPlan, createdBy: string): Promise<ReplayRecord>
  getReplay(replayId: string): Promise<ReplayRecord | null>
  getPlan(planId: string): Promise<ReplayRecord | null>
  listReplays(query: { cursor?: string; limit: number; status?: ReplayStatus }): Promise<Page<ReplayRecord>>
  /** True if this call set it, false if it was set already. */
  markStarted(planId: string, logId: LogId): Promise<boolean>
  mirrorProgress(
    planId: string,
    logId: LogId,
    cursor: Offset,
    events: bigint,
    rootHash: Hash | null,
  ): Promise<void>
  /** Failed with this code becomes running again, without an error; any other state is left as it is. */
  reopen(planId: string, code: string): Promise<void>
  setStatus(
    planId: string,
    status: ReplayStatus,
    end?: {
      receipt?: ReplayReceipt
      error?: { code: string; detail: string }
    },
  ): Promise<void>
}
