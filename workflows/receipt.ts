import type { FencedReplay, PlannedReplay, ReplayEnd } from '../activities/contract.ts'

/** Completed with a receipt, if the cursors that stand now say that everything planned was produced; else failed. */
export function judge(plan: PlannedReplay, fenced: FencedReplay): ReplayEnd {
  if (!fenced.targetUnchanged) {
    const detail = `the topic ${plan.targetTopic} was deleted and made again while the replay ran`
    return { status: 'failed', error: { code: 'TARGET_RECREATED', detail } }
  }
  const found = new Map(fenced.logs.map((log) => [log.partition, log]))
  for (const { partition, to, planned } of plan.logs) {
    const log = found.get(partition)
    if (log?.cursor === to && log.events === planned) continue
    const detail = `partition ${partition}: ${log?.events ?? 0} of ${planned} planned events up to offset ${log?.cursor}, not ${to}`
    return { status: 'failed', error: { code: 'COUNT_MISMATCH', detail } }
  }
  const logs = fenced.logs.map(({ partition, events, rootHash }) => ({ partition, events, rootHash }))
  const events = logs.reduce((sum, log) => sum + BigInt(log.events), 0n)
  return { status: 'completed', receipt: { events: String(events), logs } }
}
