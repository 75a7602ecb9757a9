import { setTimeout as sleep } from 'node:timers/promises'
import type { Outcome, Scenario } from '../contract.ts'
import { judgeReplays } from '../judgeReplays.ts'
import { moments, seize } from '../moments.ts'
import { runReplayCommand } from '../operatorCli.ts'
import { ReplayRuns, replayRunsEnv } from '../replayRuns.ts'
import { type ReplayWatch, totalOf, untilEnded } from '../replays.ts'
import { makeSourceLog } from '../sourceLog.ts'
import { Stage } from '../stage.ts'

const patienceMs = 120_000
const records = 30_000
/** What a replay that failed would still produce, if it did. */
const aftermathMs = 1_000

interface Way {
  readonly name: string
  /** Deletes cursors of the current replay while nobody is about to commit them again. */
  lose(runs: ReplayRuns): Promise<void>
  /** A worker is killed while the cursors are recovered. */
  readonly killDuringRecovery: boolean
}

const ways: readonly [Way, ...Way[]] = [
  { name: 'while it was paused', lose: loseWhilePaused, killDuringRecovery: false },
  { name: 'while its worker was dead', lose: loseUnderDeadWorker, killDuringRecovery: false },
  {
    name: 'while it was paused, and a worker died at the recovery',
    lose: loseWhilePaused,
    killDuringRecovery: true,
  },
]

export const replayCursorLost: Scenario = {
  name: 'replay-cursor-lost',
  group: 'replay',
  title: 'cursors deleted behind a replay: it fails closed, and pnpm replay recover-cursor goes on exactly',
  rounds: { full: 6, short: 0 },
  run: (context) =>
    Stage.with(
      context,
      'replay-cursor-lost',
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
  for (let round = 1; round <= rounds; round++) {
    const way = ways[(round - 1) % ways.length] ?? ways[0]
    await runs.underWay()
    await way.lose(runs)
    problems.push(...(await failsClosed(runs)))
    await recover(runs, way)
    // Completed and whole, or the judge says what is not.
    await runs.end()
    say(`round ${round} of ${rounds}: lost ${way.name}, recovered`)
  }
  await roles.stopAll()
  const judgement = await judgeReplays(stage, log, runs.ended)
  return {
    rounds,
    faults: rounds,
    events: judgement.events,
    damage: judgement.damage,
    longestRecoveryMs: null,
    problems: [...problems, ...judgement.problems],
    notes: [],
  }
}

/** Of one log that is under way or of several. @throws when Kafka does not take them away */
async function deleteCursors(runs: ReplayRuns, replay: ReplayWatch): Promise<void> {
  const { random } = runs.stage.context
  const cursors = await replay.cursors()
  const logs = (await replay.logs()).filter(({ partition, from, to }) => {
    const cursor = cursors.get(partition) ?? from
    return cursor > from && cursor < to
  })
  const count = 1 + random.below(logs.length)
  const groups = logs.slice(0, count).map(({ groupId }) => groupId)
  await runs.stage.world.admin.deleteGroups(groups)
}

async function loseWhilePaused(runs: ReplayRuns): Promise<void> {
  const replay = runs.current()
  await runs.api.pauseReplay(replay.replayId)
  await deleteCursors(runs, replay)
  await runs.api.resumeReplay(replay.replayId)
}

/** All of them die, one inside a transaction; others begin when the cursors are gone. */
async function loseUnderDeadWorker(runs: ReplayRuns): Promise<void> {
  const { roles } = runs.stage
  await runs.during(
    seize(runs.passages, moments.cursorSent, {
      skip: 2,
      act: () => {
        for (const worker of runs.workers) roles.killNow(worker)
        return 'cut'
      },
      waiting: runs.waiting('a transaction'),
    }),
  )
  const dead = [...runs.workers]
  await Promise.all(dead.map((worker) => roles.kill(worker)))
  await deleteCursors(runs, runs.current())
  await Promise.all(dead.map((worker) => runs.replace(worker)))
}

/** Returns what did not hold, in words. */
async function failsClosed(runs: ReplayRuns): Promise<string[]> {
  const replay = runs.current()
  const { signal } = runs.stage.context
  const { status, error, receipt } = await untilEnded(
    runs.api,
    replay.replayId,
    runs.waiting('the replay to fail'),
  )
  const problems: string[] = []
  if (status !== 'failed' || error?.code !== 'CURSOR_LOST')
    problems.push(`${replay.replayId} is ${status} with ${error?.code ?? 'no code'} instead of CURSOR_LOST`)
  if (receipt !== undefined) problems.push(`${replay.replayId} has a receipt without a cursor`)
  const before = totalOf(await replay.ends())
  await sleep(aftermathMs, undefined, { signal })
  const grown = totalOf(await replay.ends()) - before
  if (grown > 0)
    problems.push(`the target of ${replay.replayId} grew by ${grown} offsets after it had failed`)
  return problems
}

/** As an operator does it; follows the replay to its end. */
async function recover(runs: ReplayRuns, { killDuringRecovery }: Way): Promise<void> {
  const { context, roles } = runs.stage
  const { replayId } = runs.current()
  const recovering = runReplayCommand(runs.apiUrl, ['recover-cursor', replayId, '--reason', 'fault campaign'])
  recovering.catch(() => undefined)
  if (killDuringRecovery) {
    await sleep(1_000 + context.random.below(2_000), undefined, { signal: context.signal })
    const victim = runs.pickWorker()
    await roles.kill(victim)
    await runs.replace(victim)
  }
  await recovering
}
