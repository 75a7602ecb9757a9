import { setTimeout as sleep } from 'node:timers/promises'
import type { ReplayView } from '../../../src/domain/replayView.ts'
import type { Outcome, Scenario } from '../contract.ts'
import { Fencings } from '../fencings.ts'
import { judgeReplays } from '../judgeReplays.ts'
import { type Moment, moments, seize } from '../moments.ts'
import { ReplayRuns, replayRunsEnv } from '../replayRuns.ts'
import { makeSourceLog } from '../sourceLog.ts'
import { Stage } from '../stage.ts'

const patienceMs = 120_000
/** Far from its end when the last of the skipped moments has come, on any machine. */
const records = 60_000
const wakeLimitMs = 20_000
/** What a woken worker may still try after its first request was refused. */
const afterWakingMs = 1_500

/** What the worker has just been told when it is stopped; or its commit is on its way, and arrives when it is woken. */
const kinds: readonly Moment[] = [
  moments.sent,
  moments.cursorSent,
  moments.joined,
  moments.begun,
  moments.committing,
]

export const replayFrozenCancel: Scenario = {
  name: 'replay-frozen-cancel',
  group: 'replay',
  title:
    'a replay cancelled while its worker is stopped inside a transaction: nothing comes after the end state',
  rounds: { full: kinds.length, short: 0 },
  run: (context) =>
    Stage.with(
      context,
      'replay-frozen-cancel',
      { temporal: true, env: { ...replayRunsEnv, DATABASE_POOL_SIZE: '6', REPLAY_SLICE_MS: '2000' } },
      run,
    ),
}

async function run(stage: Stage): Promise<Outcome> {
  const { context, roles } = stage
  const { rounds, say } = context
  const log = await makeSourceLog(stage, { partitions: 4, records })
  const runs = new ReplayRuns(stage, log, { workers: 2, patienceMs })
  await runs.open()
  const problems: string[] = []
  let refused = 0
  for (let round = 1; round <= rounds; round++) {
    const moment = kinds[(round - 1) % kinds.length] ?? moments.sent
    await runs.underWay()
    const { view, fencings } = await cancelUnder(runs, moment)
    refused += fencings
    if (view.status !== 'cancelled') problems.push(`${view.replayId} is ${view.status} instead of cancelled`)
    say(`round ${round} of ${rounds}: cancelled with a worker stopped ${moment.name}`)
  }
  await roles.stopAll()
  // Held against the cursors of the end states: a page that came later would be one too many.
  const judgement = await judgeReplays(stage, log, runs.ended, { ends: ['cancelled'] })
  return {
    rounds,
    faults: rounds,
    events: judgement.events,
    damage: judgement.damage,
    longestRecoveryMs: null,
    problems: [...problems, ...judgement.problems],
    notes: [`workers that woke after the end were refused by Kafka ${refused} times`],
  }
}

async function cancelUnder(
  runs: ReplayRuns,
  moment: Moment,
): Promise<{ readonly view: ReplayView; readonly fencings: number }> {
  const { roles, context } = runs.stage
  const { random, signal } = context
  const woken = Promise.withResolvers<void>()
  const { clientId } = await runs.during(
    seize(runs.passages, moment, {
      skip: random.below(6),
      act: (frame) => {
        runs.workerOf(frame.clientId).freeze()
        return moment.side === 'request' ? { hold: woken.promise } : 'pass'
      },
      waiting: runs.waiting(`a worker ${moment.name}`),
    }),
  )
  await runs.api.cancelReplay(runs.current().replayId)
  const view = await runs.end()
  if (view === null) throw new Error('no replay has ended')
  const fencings = new Fencings(runs.passages, clientId)
  try {
    runs.workerOf(clientId).thaw()
    woken.resolve()
    // It goes on where it was stopped, or gives its request up, which is old, and takes the lane once more.
    await fencings.untilAnswered(roles.waiting(`a woken worker, stopped ${moment.name}`, wakeLimitMs))
    await sleep(afterWakingMs, undefined, { signal })
  } finally {
    fencings.close()
  }
  return { view, fencings: fencings.count }
}
