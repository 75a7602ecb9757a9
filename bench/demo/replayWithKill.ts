import { setTimeout as sleep } from 'node:timers/promises'
import type { ReplayView } from '../../src/domain/replayView.ts'
import type { Api } from '../run/api.ts'
import { RateMeter } from '../run/rate.ts'
import type { RoleProcess } from '../run/roles.ts'
import { formatCount, formatSeconds, type Say } from '../run/say.ts'
import { untilReplayEnded } from '../run/untilEnded.ts'
import { offsetCounter, watchUntil } from '../run/watch.ts'
import type { World } from '../run/world.ts'

export interface KilledReplay {
  readonly replay: ReplayView
  /** Offsets on the target when the worker was dead. */
  readonly killedAt: number
  /** From the kill until the new worker's first records. */
  readonly resumeSeconds: number
  readonly kills: number
  /** Without the outage. */
  readonly eventsPerSecond: number
}

interface Replaying {
  readonly world: World
  readonly api: Api
  readonly topic: string
  readonly target: string
  readonly partitions: number
  /** Events that the replay must produce. */
  readonly expected: number
  startWorker(): Promise<RoleProcess>
  readonly say: Say
  readonly signal: AbortSignal
}

/** The worker dies at the first sight of this much. */
const killAtShare = 0.3
const everyMs = 10
/** Far less than a new worker needs to start. */
const stillMs = 100
const patienceMs = 90_000

/**
 * Replays the whole log, kills the worker with SIGKILL in the middle, starts another one, and waits for the end.
 * @throws when the kill did not come in the middle: then nothing was shown
 */
export async function replayWithKill(run: Replaying, worker: RoleProcess): Promise<KilledReplay> {
  const { world, api, topic, target, expected, say, signal } = run
  const meter = new RateMeter()
  const count = offsetCounter(world.admin, target)
  const watch = (what: string, check: () => void) => ({
    everyMs,
    patienceMs,
    what,
    signal,
    check,
    onSample: (sample: { atMs: number; count: number }) => {
      meter.add(sample)
      say.progress(`replaying … ${formatCount(Math.min(sample.count, expected))} of ${formatCount(expected)}`)
    },
  })

  const { replayId } = await api.startReplay({ topic, targetTopic: target })
  await watchUntil(
    count,
    expected * killAtShare,
    watch('replaying until the kill', () => worker.check()),
  )
  await worker.kill()
  const killedMs = performance.now()
  meter.interrupt()
  const killedAt = await settled(count, signal)
  if (killedAt >= expected)
    throw new Error('the replay was over before its worker could be killed: run again with more --events')
  say.line(
    `killed the replay worker (SIGKILL) at ${formatCount(killedAt)} of ${formatCount(expected)} events`,
  )

  const second = await run.startWorker()
  // Ending the dead worker's transactions writes one marker per partition; records are more than that.
  const again = killedAt + 2 * run.partitions + 1
  const resumed = await watchUntil(count, again, {
    ...watch('waiting for the new worker to produce', () => second.check()),
    onSample: () => say.progress('waiting for the new worker to produce …'),
  })
  const resumeSeconds = (resumed.atMs - killedMs) / 1000
  say.line(`the new worker produces ${formatSeconds(resumeSeconds)} after the kill`)
  meter.add(resumed)
  await watchUntil(
    count,
    expected,
    watch('replaying after the kill', () => second.check()),
  )
  const replay = await untilReplayEnded(api, replayId, second, signal)
  return { replay, killedAt, resumeSeconds, kills: 1, eventsPerSecond: meter.perSecond() }
}

/** The broker may still be taking in what the dead worker had sent: the count after it has stood still for a while. */
async function settled(count: () => Promise<number>, signal: AbortSignal): Promise<number> {
  let before = await count()
  for (;;) {
    await sleep(stillMs, undefined, { signal })
    const now = await count()
    if (now === before) return now
    before = now
  }
}
