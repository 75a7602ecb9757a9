import { setTimeout as sleep } from 'node:timers/promises'
import { hasEnded, type ReplayView } from '../domain/replayView.ts'
import type { ApiClient } from './apiClient.ts'
import { CliFailure } from './failure.ts'
import { formatBar, formatEnd, formatProgress } from './format.ts'
import { createMeter } from './meter.ts'
import type { Terminal } from './terminal.ts'

const pollMs = 500
/** Plain lines come this often, and when the status changes. */
const lineEveryMs = 2_000
/** How long an API that stopped answering is waited for. */
const patienceMs = 60_000

export interface FollowContext {
  readonly api: ApiClient
  readonly terminal: Terminal
  /** Ctrl-C: stop watching. The replay goes on. */
  readonly detach: AbortSignal
}

/** Watches a replay to its end. Returns the exit code: 0 when it completed or the user detached, 1 otherwise. */
export async function follow(replayId: string, context: FollowContext): Promise<number> {
  const { terminal, detach } = context
  const startedAt = performance.now()
  const show = createDisplay(terminal)
  let last: ReplayView | null = null
  let answeredAt = startedAt
  while (!detach.aborted) {
    try {
      last = await readReplay(context.api, replayId)
      answeredAt = performance.now()
    } catch (error) {
      if (detach.aborted) break
      if (!isTransient(error)) throw error
      if (last === null || performance.now() - answeredAt > patienceMs) throw givenUp(error, replayId)
      await pause(detach)
      continue
    }
    if (hasEnded(last.status)) return finish(last, terminal, (performance.now() - startedAt) / 1_000)
    show(last)
    await pause(detach)
  }
  const goesOn = 'the replay goes on'
  terminal.line(`detached, ${goesOn}. Follow it: pnpm replay follow ${replayId}`)
  terminal.line(`Cancel it: pnpm replay cancel ${replayId}`)
  terminal.result(last ?? { replayId })
  return 0
}

export async function readReplay(api: ApiClient, replayId: string): Promise<ReplayView> {
  return (await api.get(`/replay/${encodeURIComponent(replayId)}`)) as ReplayView
}

/** A bar redrawn in place on a terminal; elsewhere a line every two seconds and whenever the status changes. */
function createDisplay(terminal: Terminal): (view: ReplayView) => void {
  const meter = createMeter()
  let linedAt = Number.NEGATIVE_INFINITY
  let status: string | null = null
  return (view) => {
    const now = performance.now()
    const speed = meter(view, now)
    if (terminal.live) {
      terminal.redraw(formatBar(view, speed, terminal.columns(), terminal.color))
      return
    }
    if (view.status === status && now - linedAt < lineEveryMs) return
    terminal.line(formatProgress(view, speed))
    status = view.status
    linedAt = now
  }
}

function finish(view: ReplayView, terminal: Terminal, seconds: number): number {
  if (terminal.live) {
    const speed = { eventsPerSecond: 0, secondsLeft: null }
    terminal.redraw(formatBar(view, speed, terminal.columns(), terminal.color))
  }
  terminal.result(view)
  if (view.status === 'completed') {
    for (const line of formatEnd(view, seconds)) terminal.line(line)
    return 0
  }
  const why = view.error === undefined ? '' : `: ${view.error.code}: ${view.error.detail}`
  terminal.complain(`replay ${view.replayId} ${view.status} after ${view.progress.events} events${why}`)
  if (view.error?.code === 'CURSOR_LOST')
    terminal.line(`Go on with: pnpm replay recover-cursor ${view.replayId}`)
  return 1
}

/** Too many polls or a server that restarts pass by; what the API refuses does not. */
const isTransient = (error: unknown): error is CliFailure =>
  error instanceof CliFailure &&
  (error.code === 'UNREACHABLE' || error.code === 'TIMEOUT' || error.code.endsWith('_UNAVAILABLE'))

function givenUp(error: CliFailure, replayId: string): CliFailure {
  const line = `${error.message}; the replay itself goes on, follow it again: pnpm replay follow ${replayId}`
  return new CliFailure(1, error.code, line)
}

async function pause(signal: AbortSignal): Promise<void> {
  try {
    await sleep(pollMs, undefined, { signal })
  } catch (error) {
    if (!signal.aborted) throw error
  }
}
