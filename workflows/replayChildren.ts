/** The children of a replay: one workflow per log, a bounded number at once. */
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common'
import {
  CancellationScope,
  type ChildWorkflowHandle,
  condition,
  log,
  setCurrentDetails,
  sleep,
  startChild,
  workflowInfo,
} from '@temporalio/workflow'
import { setPaused } from './messages.ts'
import type { replayLog } from './replayLog.ts'
import { detailsOf, isStill, type LogState, type ReplayState } from './replayState.ts'

type Child = ChildWorkflowHandle<typeof replayLog>

/** Long enough for a slice on a killed worker to be noticed. */
const PAUSE_WAIT = '8 s'
const START_ATTEMPTS = 60

export interface ReplayChildren {
  /** Tells every child; when pausing, resolves when no slice runs, or after a bounded wait. */
  setPaused(paused: boolean): Promise<void>
  /**
   * Resolves when every log is done, or, when the history has grown enough, with logs left over. Rejects with the
   * first failure, after all other children have stopped.
   */
  run(concurrency: number, planId: string): Promise<void>
}

export function replayChildren(state: ReplayState): ReplayChildren {
  const children = new Map<number, Child>()

  async function runLog(entry: LogState, planId: string): Promise<void> {
    const { partition } = entry.log
    const { paused } = state
    entry.phase = 'running'
    try {
      const child = await startLog(state, entry, planId, paused)
      children.set(partition, child)
      if (state.paused !== paused) await tell(child, state.paused)
      const { cursor, events } = await child.result()
      Object.assign(entry, { cursor, events, phase: 'done' } satisfies Partial<LogState>)
      setCurrentDetails(detailsOf(state))
    } catch (error) {
      entry.phase = 'idle'
      throw error
    } finally {
      children.delete(partition)
    }
  }

  return {
    async setPaused(paused) {
      await Promise.all([...children.values()].map((child) => tell(child, paused)))
      if (paused) await condition(() => !state.paused || state.ending || isStill(state), PAUSE_WAIT)
    },
    async run(concurrency, planId) {
      const queue = state.logs.filter(({ phase }) => phase !== 'done')
      const failures: unknown[] = []
      const scope = new CancellationScope()
      const lane = async (): Promise<void> => {
        try {
          for (;;) {
            if (state.paused) await condition(() => !state.paused)
            if (failures.length > 0 || workflowInfo().continueAsNewSuggested) return
            const entry = queue.shift()
            if (entry === undefined) return
            await runLog(entry, planId)
          }
        } catch (error) {
          failures.push(error)
          scope.cancel()
        }
      }
      await scope.run(() => Promise.all(Array.from({ length: concurrency }, lane)))
      if (failures.length > 0) throw failures[0]
    },
  }
}

async function startLog(
  state: ReplayState,
  entry: LogState,
  planId: string,
  paused: boolean,
): Promise<Child> {
  const { partition, from, to, planned } = entry.log
  const { topic, targetTopic } = state.request
  const name = `${topic}/${partition} → ${targetTopic}`
  for (let attempt = 1; ; attempt++) {
    try {
      return await startChild<typeof replayLog>('replayLog', {
        workflowId: `${state.workflowId}/log-${partition}`,
        args: [{ planId, log: entry.log, name, paused }],
        staticSummary: name,
        staticDetails: `Offsets ${from} to ${to} (exclusive), ${planned} events planned`,
        // A worker killed inside a workflow task delays its log by this much.
        workflowTaskTimeout: '5 s',
      })
    } catch (error) {
      // The child of a parent that was terminated a moment ago is on its way out.
      if (!(error instanceof WorkflowExecutionAlreadyStartedError) || attempt === START_ATTEMPTS) throw error
      await sleep('1 s')
    }
  }
}

/** A child that ends at this moment needs no telling. */
async function tell(child: Child, paused: boolean): Promise<void> {
  try {
    await child.signal(setPaused, paused)
  } catch (error) {
    log.info('a log ended before it could be told to pause or resume', { error })
  }
}
