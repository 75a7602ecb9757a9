import { setTimeout as sleep } from 'node:timers/promises'
import { ApiError } from '../../run/api.ts'
import type { Outcome, Scenario } from '../contract.ts'
import { judgeReplays } from '../judgeReplays.ts'
import { type LateKind, LateRequests, lateKinds } from '../lateRequests.ts'
import { ReplayRuns, replayRunsEnv } from '../replayRuns.ts'
import { makeSourceLog } from '../sourceLog.ts'
import { Stage } from '../stage.ts'

const patienceMs = 120_000
const records = { full: 30_000, short: 15_000 }
/** One round in so many ends with a cancellation, while requests are still on their way. */
const cancelEvery = 5
/** One in so many makes the clients wait for their own time-outs instead. */
const holdEvery = 19
/** Longer than the platform gives a request, 30 s. */
const heldMs = 33_000
/** How late; which of them is drawn first: some overtake nothing, some arrive transactions later. */
const spansMs: readonly [number, ...number[]] = [60, 700, 3_000, 8_000]
const mostAtOnce = 6

const kinds = Object.keys(lateKinds) as [LateKind, ...LateKind[]]

export const replayLateRequests: Scenario = {
  name: 'replay-late-requests',
  group: 'replay',
  title: 'requests of transactions that reach Kafka when their client has gone on without them',
  rounds: { full: 40, short: 4 },
  run: (context) =>
    Stage.with(
      context,
      'replay-late-requests',
      { temporal: true, env: { ...replayRunsEnv, REPLAY_SLICE_MS: '2000' } },
      run,
    ),
}

async function run(stage: Stage): Promise<Outcome> {
  const { context, roles } = stage
  const { rounds, short, say, signal } = context
  const log = await makeSourceLog(stage, { partitions: 4, records: short ? records.short : records.full })
  const runs = new ReplayRuns(stage, log, { workers: 2, patienceMs })
  await runs.open()
  const late = new LateRequests(runs.passages)
  for (let round = 1; round <= rounds; round++) {
    await runs.underWay()
    if (round % holdEvery === 0) await holdSome(runs, late)
    else await delaySome(runs, late)
    if (round % cancelEvery === 0) await cancel(runs)
    else await runs.untilMoving(runs.current())
    say(`round ${round} of ${rounds}: ${late.taken} requests held back`)
  }
  await runs.end()
  // Also after the last end state nothing may come.
  await late.untilDelivered(signal)
  late.close()
  await roles.stopAll()
  const { damage, events, problems } = await judgeReplays(stage, log, runs.ended, { ends: ['cancelled'] })
  return {
    rounds,
    faults: late.taken,
    events,
    damage,
    longestRecoveryMs: runs.clock.longestMs,
    problems,
    notes: [
      `Kafka's answers to what came late: ${late.describeAnswers()}`,
      `${late.aborts} requests EndTxn asked for an abort: transactions are aborted by fencing`,
      runs.clock.byKind(),
    ],
  }
}

/** Several at once, of one lane after another or of several: each is overtaken by whatever follows it. */
async function delaySome(runs: ReplayRuns, late: LateRequests): Promise<void> {
  const { random } = runs.stage.context
  for (let left = 1 + random.below(mostAtOnce); left > 0; left--)
    late.late(random.pick(kinds), random.below(random.pick(spansMs)))
  await runs.during(late.untilTaken(runs.waiting('requests to hold back')))
  runs.clock.fault('late')
}

/** One of each lane, so that one time-out does for all of them; then they arrive. */
async function holdSome(runs: ReplayRuns, late: LateRequests): Promise<void> {
  const { random, signal } = runs.stage.context
  const free = Promise.withResolvers<void>()
  for (let left = runs.log.score.partitions; left > 0; left--) late.hold(random.pick(kinds), free.promise)
  await runs.during(late.untilTaken(runs.waiting('requests to hold')))
  await sleep(heldMs, undefined, { signal })
  free.resolve()
  runs.clock.fault('held until the client had given it up')
}

/** Unless it is over already. */
async function cancel(runs: ReplayRuns): Promise<void> {
  await runs.api.cancelReplay(runs.current().replayId).catch((error: unknown) => {
    if (!(error instanceof ApiError) || error.code !== 'REPLAY_ENDED') throw error
  })
  await runs.end()
}
