import type { LogInput } from './contract.ts'
import type { ActivityDependencies, ActivityScope } from './dependencies.ts'
import { loadWork, takeLane } from './lane.ts'

/** Commits the cursor again as it is: Kafka forgets offsets some days after their last commit (KIP-211). */
export async function touchCursor(
  deps: ActivityDependencies,
  scope: ActivityScope,
  { planId, logId }: LogInput,
): Promise<void> {
  const { plan, log } = await loadWork(deps.replays, planId, logId)
  const { lane, cursor } = await takeLane(deps, plan, log, null, scope.signal)
  try {
    if (cursor === null) await lane.abort()
    else await lane.commit(cursor)
  } finally {
    await lane.close()
  }
}
