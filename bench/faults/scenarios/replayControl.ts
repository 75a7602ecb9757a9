import { setTimeout as sleep } from 'node:timers/promises'
import { ApiError } from '../../run/api.ts'
import { formatCount } from '../../run/say.ts'
import type { Outcome, Scenario } from '../contract.ts'
import { judgeReplays } from '../judgeReplays.ts'
import { moments, seize } from '../moments.ts'
import { ReplayRuns, replayRunsEnv } from '../replayRuns.ts'
import { totalOf } from '../replays.ts'
import { makeSourceLog } from '../sourceLog.ts'
import { Stage } from '../stage.ts'

const patienceMs = 120_000
const records = 40_000
/** Much shorter than usual, so that a scenario can outlast it. */
const transactionTimeoutMs = 5_000
/** Kafka's coordinator looks for transactions that are over their time once a second here. */
const outlastMs = transactionTimeoutMs + 3_000

interface Act {
  readonly name: string
  /** Returns what did not hold, in words. */
  run(runs: ReplayRuns): Promise<readonly string[]>
}

export const replayControl: Scenario = {
  name: 'replay-control',
  group: 'replay',
  title:
    'replays paused, resumed and cancelled at random moments, and paused for longer than transactions may last',
  rounds: { full: 12, short: 0 },
  run: (context) =>
    Stage.with(
      context,
      'replay-control',
      {
        temporal: true,
        env: {
          ...replayRunsEnv,
          REPLAY_SLICE_MS: '3000',
          REPLAY_TRANSACTION_TIMEOUT_MS: String(transactionTimeoutMs),
        },
      },
      run,
    ),
}

async function run(stage: Stage): Promise<Outcome> {
  const { context, roles } = stage
  const { rounds, random, say, signal } = context
  const log = await makeSourceLog(stage, { partitions: 4, records })
  const runs = new ReplayRuns(stage, log, { workers: 2, patienceMs })
  await runs.open()
  const problems: string[] = []
  for (let round = 1; round <= rounds; round++) {
    const act = acts[(round - 1) % acts.length] ?? cancelled
    await runs.underWay()
    await sleep(random.below(800), undefined, { signal })
    problems.push(...(await act.run(runs)))
    say(`round ${round} of ${rounds}: ${act.name}`)
  }
  await runs.end()
  await roles.stopAll()
  const judgement = await judgeReplays(stage, log, runs.ended, { ends: ['cancelled'] })
  const cancels = runs.ended.filter(({ status }) => status === 'cancelled')
  const produced = cancels.reduce((sum, { progress }) => sum + Number(progress.events), 0)
  return {
    rounds,
    faults: rounds,
    events: judgement.events,
    damage: judgement.damage,
    longestRecoveryMs: runs.clock.longestMs,
    problems: [...problems, ...judgement.problems],
    notes: [
      `${cancels.length} of ${runs.ended.length} replays were cancelled, after ${formatCount(produced)} events together`,
      runs.clock.byKind(),
    ],
  }
}

const paused: Act = {
  name: 'paused for a moment',
  async run(runs) {
    const { random } = runs.stage.context
    return pauseFor(runs, random.below(3_000))
  },
}

const pausedLong: Act = {
  name: 'paused for longer than a transaction may last',
  run: (runs) => pauseFor(runs, outlastMs),
}

/** Kafka aborts the transaction of the dead worker by itself; whoever goes on finds that. */
const killedAndPaused: Act = {
  name: 'worker killed inside a transaction, then paused until Kafka has aborted it',
  async run(runs) {
    const { roles } = runs.stage
    const { clientId } = await runs.during(
      seize(runs.passages, moments.sent, {
        skip: 0,
        act: (frame) => {
          roles.killNow(runs.workerOf(frame.clientId))
          return 'cut'
        },
        waiting: runs.waiting('a transaction'),
      }),
    )
    const victim = runs.workerOf(clientId)
    await roles.kill(victim)
    await runs.replace(victim)
    // A slice that is lost with its worker stops with its heartbeat time-out: later than a pause waits.
    return pauseFor(runs, outlastMs, { still: false })
  },
}

/** Its request arrives when Kafka has aborted the transaction: the worker is refused, and begins anew. */
const outlasted: Act = {
  name: 'transaction longer than it may last',
  async run(runs) {
    const { signal } = runs.stage.context
    const free = Promise.withResolvers<void>()
    await runs.during(
      seize(
        runs.passages,
        { ...moments.sent, side: 'request' },
        { skip: 1, act: () => ({ hold: free.promise }), waiting: runs.waiting('a transaction') },
      ),
    )
    await sleep(outlastMs, undefined, { signal })
    free.resolve()
    runs.clock.fault(outlasted.name)
    await runs.untilMoving(runs.current())
    return []
  },
}

/** What is committed by then stays, and nothing follows it. */
const cancelled: Act = {
  name: 'cancelled',
  async run(runs) {
    await cancel(runs)
    await runs.end()
    return []
  },
}

const cancelledWhilePaused: Act = {
  name: 'cancelled while paused',
  async run(runs) {
    if (!(await pause(runs))) return []
    await cancel(runs)
    await runs.end()
    return []
  },
}

const acts: readonly Act[] = [
  paused,
  cancelled,
  killedAndPaused,
  paused,
  outlasted,
  cancelledWhilePaused,
  pausedLong,
  cancelled,
]

/** Pauses, watches that nothing is produced, resumes and waits for movement. */
async function pauseFor(runs: ReplayRuns, ms: number, { still = true } = {}): Promise<string[]> {
  const { signal } = runs.stage.context
  const problems: string[] = []
  if (!(await pause(runs))) return problems
  const replay = runs.current()
  const before = totalOf(await replay.ends())
  await sleep(ms, undefined, { signal })
  const grown = totalOf(await replay.ends()) - before
  if (still && grown > 0) problems.push(`${replay.replayId} grew by ${grown} offsets while it was paused`)
  await runs.api.resumeReplay(replay.replayId)
  runs.clock.fault('resumed')
  await runs.untilMoving(replay)
  return problems
}

/** False when the replay is over already. */
const pause = (runs: ReplayRuns): Promise<boolean> =>
  unlessEnded(runs.api.pauseReplay(runs.current().replayId))
const cancel = (runs: ReplayRuns): Promise<boolean> =>
  unlessEnded(runs.api.cancelReplay(runs.current().replayId))

async function unlessEnded(asked: Promise<unknown>): Promise<boolean> {
  try {
    await asked
    return true
  } catch (error) {
    if (error instanceof ApiError && error.code === 'REPLAY_ENDED') return false
    throw error
  }
}
