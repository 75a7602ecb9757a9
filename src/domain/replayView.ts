/**
 * A replay as the API, the workflow's query `progress` and the CLI show it: offsets and counts as decimal strings.
 * Free of Node's modules, since workflows import it.
 */
import type { ReplayStatus } from './replay.ts'

export interface ReplayLogView {
  readonly partition: number
  readonly from: string
  /** Exclusive. */
  readonly to: string
  /** First source offset that is not replayed yet. */
  readonly cursor: string
  /** Produced so far. */
  readonly events: string
}

export interface ReplayReceiptView {
  readonly events: string
  readonly logs: readonly {
    readonly partition: number
    readonly events: string
    /** RFC 6962 root over the leaves of the produced events, 64 hex digits. */
    readonly rootHash: string
  }[]
}

export interface ReplayView {
  readonly replayId: string
  readonly workflowId: string
  readonly status: ReplayStatus
  readonly topic: string
  readonly targetTopic: string
  readonly progress: {
    /** Produced. */
    readonly events: string
    /** Source offsets passed. */
    readonly scanned: string
    /** Source offsets in all ranges: what `scanned` is at the end. */
    readonly total: string
  }
  readonly logs: readonly ReplayLogView[]
  readonly receipt?: ReplayReceiptView
  readonly error?: { readonly code: string; readonly detail: string }
}

/** Sums over the logs. */
export function progressOf(logs: readonly ReplayLogView[]): ReplayView['progress'] {
  let events = 0n
  let scanned = 0n
  let total = 0n
  for (const log of logs) {
    const from = BigInt(log.from)
    events += BigInt(log.events)
    scanned += BigInt(log.cursor) - from
    total += BigInt(log.to) - from
  }
  return { events: String(events), scanned: String(scanned), total: String(total) }
}

/** True when nothing changes any more. */
export const hasEnded = (status: ReplayStatus): boolean =>
  status === 'completed' || status === 'failed' || status === 'cancelled'
