/** A log as the API and the CLI show it: offsets and counts as decimal strings. */
import type { ErrorCode } from '../errors.ts'

/**
 * `open`: ingest appends to it. `closed`: it takes nothing more, for the reason of `code`, until an operator opens a new
 * incarnation. `missing`: Kafka has no such topic or partition now. `superseded`: a newer incarnation follows it.
 * `unknown`: Kafka did not say in time.
 */
export type LogStanding =
  | { readonly state: 'open' | 'missing' | 'superseded' | 'unknown' }
  | { readonly state: 'closed'; readonly code: ErrorCode }

export type LogView = LogStanding & {
  readonly topic: string
  readonly partition: number
  readonly incarnation: number
  readonly topicId: string
  readonly startOffset: string
  readonly nextOffset: string
  /** Leaves. */
  readonly size: string
  readonly lastIngestedAt: string | null
}

export interface OpenedIncarnationsView {
  /** The new logs. */
  readonly opened: readonly LogView[]
  /** Logs of the topic that were left as they are, and why. */
  readonly left: readonly { readonly partition: number; readonly code: ErrorCode; readonly detail: string }[]
}
