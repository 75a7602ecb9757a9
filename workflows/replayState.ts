/** What a replay knows about itself between two decisions; plain data and pure functions. */
import type { PlannedLog, PlannedReplay, ReplayEnd } from '../activities/contract.ts'
import type { ReplayRequest, ReplayStatus } from '../src/domain/replay.ts'
import { hasEnded, progressOf, type ReplayLogView, type ReplayView } from '../src/domain/replayView.ts'
import type { LogReport } from './messages.ts'

export interface LogState {
  readonly log: PlannedLog
  cursor: string
  events: string
  phase: 'waiting' | 'running' | 'idle' | 'done'
}

export interface ReplayState {
  readonly replayId: string
  readonly workflowId: string
  readonly request: ReplayRequest & { readonly targetTopic: string }
  paused: boolean
  /** No pause, no resume any more: the end is being written down. */
  ending: boolean
  plan: PlannedReplay | null
  logs: LogState[]
  end: ReplayEnd | null
}

/** What a run hands to the next one: the plan itself is read again from the store. */
export interface CarriedReplay {
  readonly paused: boolean
  readonly logs: readonly { readonly partition: number; readonly cursor: string; readonly events: string }[]
}

export function adoptPlan(state: ReplayState, plan: PlannedReplay, carried: CarriedReplay | null): void {
  const known = new Map(carried?.logs.map((log) => [log.partition, log]))
  state.plan = plan
  state.logs = plan.logs.map((log) => {
    const { cursor, events } = known.get(log.partition) ?? startOf(log)
    return { log, cursor, events, phase: cursor === log.to ? 'done' : 'waiting' }
  })
}

/** Nothing planned means nothing to read: such a log is done before it begins. */
const startOf = (log: PlannedLog) => ({ cursor: log.planned === '0' ? log.to : log.from, events: '0' })

export const carry = (state: ReplayState): CarriedReplay => ({
  paused: state.paused,
  logs: state.logs.map(({ log, cursor, events }) => ({ partition: log.partition, cursor, events })),
})

export function applyReport(state: ReplayState, report: LogReport): void {
  const entry = state.logs.find(({ log }) => log.partition === report.partition)
  if (entry === undefined || entry.phase === 'done') return
  entry.cursor = report.cursor
  entry.events = report.events
  entry.phase = report.idle ? 'idle' : 'running'
}

export const isStill = (state: ReplayState): boolean => state.logs.every(({ phase }) => phase !== 'running')

export function statusOf(state: ReplayState): ReplayStatus {
  if (state.end !== null) return state.end.status
  if (state.paused) return 'paused'
  return state.plan === null ? 'planning' : 'running'
}

export function viewOf(state: ReplayState): ReplayView {
  const logs = state.logs.map(
    ({ log, cursor, events }): ReplayLogView => ({
      partition: log.partition,
      from: log.from,
      to: log.to,
      cursor,
      events,
    }),
  )
  return {
    replayId: state.replayId,
    workflowId: state.workflowId,
    status: statusOf(state),
    topic: state.request.topic,
    targetTopic: state.request.targetTopic,
    progress: progressOf(logs),
    logs,
    ...(state.end?.receipt !== undefined && { receipt: state.end.receipt }),
    ...(state.end?.error !== undefined && { error: state.end.error }),
  }
}

/** Markdown for Temporal UI. */
export function detailsOf(state: ReplayState): string {
  const view = viewOf(state)
  const done = state.logs.filter(({ phase }) => phase === 'done').length
  const lines = [
    `**${view.topic}** → **${view.targetTopic}**: ${view.status}`,
    ...(state.plan === null ? [] : [`${done} of ${state.logs.length} logs, ${view.progress.events} events`]),
    ...(view.error === undefined ? [] : [`${view.error.code}: ${view.error.detail}`]),
    ...(hasEnded(view.status) ? [] : ['Updates: `pause`, `resume`; query: `progress`; stop: cancel']),
  ]
  return lines.join('\n\n')
}
