import { setTimeout as sleep } from 'node:timers/promises'
import { formatSeconds } from '../../run/say.ts'
import type { Outcome, Scenario } from '../contract.ts'
import { stopInOrder } from '../ingestStop.ts'
import { judgeReplays } from '../judgeReplays.ts'
import { OpenTransactions } from '../openTransactions.ts'
import { ReplayRuns, replayRunsEnv } from '../replayRuns.ts'
import { makeSourceLog } from '../sourceLog.ts'
import { Stage } from '../stage.ts'

const partitions = 4
const records = { full: 30_000, short: 10_000 }
const patienceMs = 90_000
/** What a stopped worker hands back goes on at once: nobody has to notice a missing heartbeat first (5 s). */
const handOverMs = 4_000

/** One worker alone can run the slices of all logs, so nothing waits for the one that comes in the stopped one's place. */
const env = { ...replayRunsEnv, DATABASE_POOL_SIZE: '8' }

export const replayStop: Scenario = {
  name: 'replay-stop',
  group: 'replay',
  title:
    'SIGTERM for one of two replay workers: no transaction is left open, and the other one goes on at once',
  rounds: { full: 12, short: 0 },
  run: (context) => Stage.with(context, 'replay-stop', { temporal: true, env }, run),
}

async function run(stage: Stage): Promise<Outcome> {
  const { context, roles } = stage
  const { rounds, short, say } = context
  const log = await makeSourceLog(stage, { partitions, records: short ? records.short : records.full })
  const runs = new ReplayRuns(stage, log, { workers: 2, patienceMs })
  await runs.open()
  const problems: string[] = []
  let [longestStopMs, ended] = [0, 0]
  for (let round = 1; round <= rounds; round++) {
    const stop = await stopOne(runs)
    problems.push(...stop.problems)
    longestStopMs = Math.max(longestStopMs, stop.tookMs)
    ended += stop.ended
    say(`round ${round} of ${rounds}, replay ${runs.begun.length}`)
  }
  await runs.end()
  if (ended === 0) problems.push('no worker was in a transaction when it was asked to stop')
  const longestMs = runs.clock.longestMs ?? 0
  if (longestMs > handOverMs)
    problems.push(
      `a partition stood still for ${formatSeconds(longestMs / 1000)} after its worker was stopped`,
    )
  await roles.stopAll()
  const judged = await judgeReplays(stage, log, runs.ended)
  return {
    rounds,
    faults: rounds,
    events: judged.events,
    damage: judged.damage,
    longestRecoveryMs: runs.clock.longestMs,
    problems: [...problems, ...judged.problems],
    notes: [
      `SIGTERM took ${formatSeconds(longestStopMs / 1000)} at most; ${ended} transactions were ended after it, none left open`,
    ],
  }
}

/** Each page is one transaction: one that is ended, either way, leaves nothing to anybody else but its own page. */
async function stopOne(
  runs: ReplayRuns,
): Promise<{ readonly problems: readonly string[]; readonly tookMs: number; readonly ended: number }> {
  const { stage } = runs
  const { random, signal } = stage.context
  const replay = await runs.underWay()
  const worker = runs.pickWorker()
  const transactions = new OpenTransactions(runs.passages, worker.label)
  await sleep(100 + random.below(400), undefined, { signal })
  const before = transactions.ended
  runs.clock.fault()
  const { tookMs, problems } = await stopInOrder(stage, worker)
  const left = transactions.open.map((id) => `${worker.label} left the transaction of ${id} open`)
  const ended = transactions.ended - before
  transactions.close()
  await runs.untilMoving(replay, await replay.cursors())
  // One that is just starting knows nothing of stopping in order yet, nor has it anything to stop.
  await (await runs.replace(worker)).ready(signal)
  return { tookMs, ended, problems: [...problems, ...left] }
}
