import { hashToHex } from '../domain/hash.ts'
import { workflowIdOfReplay } from '../domain/replayId.ts'
import { progressOf, type ReplayLogView, type ReplayView } from '../domain/replayView.ts'
import type { ReplayRecord } from '../ports.ts'

/** A replay as the store knows it: the mirror of its progress is at most seconds old. */
export function viewOfRecord({ plan, status, logs, receipt, error }: ReplayRecord): ReplayView {
  const views = logs.map(
    ({ partition, from, to, cursor, events }): ReplayLogView => ({
      partition,
      from: String(from),
      to: String(to),
      cursor: String(cursor),
      events: String(events),
    }),
  )
  return {
    replayId: plan.replayId,
    workflowId: workflowIdOfReplay(plan.replayId),
    status,
    topic: plan.topic,
    targetTopic: plan.targetTopic,
    progress: progressOf(views),
    logs: views,
    ...(receipt !== null && {
      receipt: {
        events: String(receipt.events),
        logs: receipt.logs.map(({ partition, events, rootHash }) => ({
          partition,
          events: String(events),
          rootHash: hashToHex(rootHash),
        })),
      },
    }),
    ...(error !== null && { error }),
  }
}

/** The workflow's word on the status, and of each log whatever is further on. */
export function mergeViews(stored: ReplayView, live: ReplayView): ReplayView {
  const known = new Map(live.logs.map((log) => [log.partition, log]))
  const logs = stored.logs.map((log) => {
    const other = known.get(log.partition)
    return other !== undefined && BigInt(other.cursor) > BigInt(log.cursor) ? other : log
  })
  return { ...stored, ...live, logs, progress: progressOf(logs) }
}
