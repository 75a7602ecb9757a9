import { hashFromHex } from '../src/domain/hash.ts'
import { sameReplayRequest } from '../src/domain/replayRequest.ts'
import { hasEnded } from '../src/domain/replayView.ts'
import type { FinishInput, RecordStatusInput } from './contract.ts'
import type { ActivityDependencies } from './dependencies.ts'

/** Writes the end of a replay into the store; an end that is there already stays. */
export async function finishReplay(
  { replays }: Pick<ActivityDependencies, 'replays'>,
  { replayId, request, status, receipt, error }: FinishInput,
): Promise<void> {
  const record = await replays.getReplay(replayId)
  // Cancelled before it was stored, or the id is another request's.
  if (record === null || !sameReplayRequest(record.plan.request, request)) return
  if (hasEnded(record.status)) return
  await replays.setStatus(record.plan.planId, status, {
    ...(receipt !== undefined && {
      receipt: {
        events: BigInt(receipt.events),
        logs: receipt.logs.map(({ partition, events, rootHash }) => ({
          partition,
          events: BigInt(events),
          rootHash: hashFromHex(rootHash),
        })),
      },
    }),
    ...(error !== undefined && { error }),
  })
}

/** Running or paused, for people; an end stays an end. */
export async function recordStatus(
  { replays }: Pick<ActivityDependencies, 'replays'>,
  { planId, status }: RecordStatusInput,
): Promise<void> {
  const record = await replays.getPlan(planId)
  if (record !== null && !hasEnded(record.status)) await replays.setStatus(planId, status)
}
