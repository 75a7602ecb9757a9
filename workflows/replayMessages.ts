import { setCurrentDetails, setHandler } from '@temporalio/workflow'
import { failure } from './failures.ts'
import { pause, progress, reportLog, resume } from './messages.ts'
import type { ReplayChildren } from './replayChildren.ts'
import { applyReport, detailsOf, type ReplayState, viewOf } from './replayState.ts'

/** Registers what can be asked of a replay. */
export function handleMessages(state: ReplayState, children: ReplayChildren): void {
  // Synchronous: the result of an asynchronous validator is not waited for.
  const validator = (): void => {
    if (state.ending) throw failure('REPLAY_ENDED', 'the replay has ended')
  }
  const change = (paused: boolean) => async () => {
    state.paused = paused
    await children.setPaused(paused)
    return viewOf(state)
  }
  setHandler(pause, change(true), {
    validator,
    description: 'Stops between two pages; waits until all logs stand',
  })
  setHandler(resume, change(false), { validator, description: 'Goes on where a pause stopped' })
  setHandler(reportLog, (report) => {
    applyReport(state, report)
    setCurrentDetails(detailsOf(state))
  })
  setHandler(progress, () => viewOf(state), { description: 'How far the replay has come, log by log' })
}
