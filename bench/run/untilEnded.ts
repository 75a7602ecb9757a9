import type { ReplayView } from '../../src/domain/replayView.ts'
import type { Api } from './api.ts'
import type { RoleProcess } from './roles.ts'
import { watchUntil } from './watch.ts'

const endedStatuses: ReadonlySet<string> = new Set(['completed', 'failed', 'cancelled'])
const patienceMs = 90_000

/** Asks the API until the replay has ended. @throws when it ended otherwise than completed */
export async function untilReplayEnded(
  api: Api,
  replayId: string,
  worker: RoleProcess,
  signal: AbortSignal,
): Promise<ReplayView> {
  let view = await api.getReplay(replayId)
  await watchUntil(
    async () => {
      view = await api.getReplay(replayId)
      return endedStatuses.has(view.status) ? 1 : 0
    },
    1,
    {
      everyMs: 200,
      patienceMs,
      what: `waiting for the end of replay ${replayId}`,
      signal,
      onSample: () => undefined,
      check: () => worker.check(),
    },
  )
  if (view.status === 'completed') return view
  const why = view.error === undefined ? '' : `: ${view.error.code}, ${view.error.detail}`
  throw new Error(`the replay ${replayId} is ${view.status}${why}`)
}
