import { setTimeout as sleep } from 'node:timers/promises'
import type { RoleProcess } from '../../run/roles.ts'
import type { Outcome, Scenario } from '../contract.ts'
import { Fencings } from '../fencings.ts'
import { judgeReplays } from '../judgeReplays.ts'
import { type Moment, moments, seize } from '../moments.ts'
import { ReplayRuns, replayRunsEnv } from '../replayRuns.ts'
import { makeSourceLog } from '../sourceLog.ts'
import { Stage } from '../stage.ts'

const patienceMs = 90_000
const records = 40_000
/** A worker that wakes inside a transaction goes on with it at once. */
const wakeLimitMs = 20_000
/** What it tries when it wakes comes within this time. */
const afterWakingMs = 1_000
const atRandom = 'at a random moment'

/** What the worker has just been answered when it is stopped; it finds the answer when it wakes. */
const kinds: readonly (Moment | null)[] = [moments.sent, moments.cursorSent, null, moments.joined]

export const replayZombie: Scenario = {
  name: 'replay-zombie',
  group: 'replay',
  title: 'SIGSTOP of a replay worker past its heartbeat time-out while another one takes over, then SIGCONT',
  rounds: { full: 8, short: 0 },
  run: (context) =>
    Stage.with(
      context,
      'replay-zombie',
      // One worker alone can take all logs.
      { temporal: true, env: { ...replayRunsEnv, DATABASE_POOL_SIZE: '6', REPLAY_SLICE_MS: '3000' } },
      run,
    ),
}

async function run(stage: Stage): Promise<Outcome> {
  const { context, roles } = stage
  const { rounds, say } = context
  const log = await makeSourceLog(stage, { partitions: 4, records })
  const runs = new ReplayRuns(stage, log, { workers: 2, patienceMs })
  await runs.open()
  const fencings: number[] = []
  for (let round = 1; round <= rounds; round++) {
    const moment = kinds[(round - 1) % kinds.length] ?? null
    fencings.push(await freezeOne(runs, moment))
    say(`round ${round} of ${rounds}: stopped ${moment?.name ?? atRandom}`)
  }
  await runs.end()
  await roles.stopAll()
  const { damage, events, problems } = await judgeReplays(stage, log, runs.ended)
  const fenced = fencings.filter((count) => count > 0).length
  return {
    rounds,
    faults: rounds,
    events,
    damage,
    longestRecoveryMs: runs.clock.longestMs,
    problems:
      fenced > 0 ? problems : [...problems, 'no zombie was ever fenced: none was inside a transaction'],
    notes: [
      `${fenced} of ${rounds} woke inside a transaction and were refused by Kafka: another worker had gone on`,
      runs.clock.byKind(),
    ],
  }
}

/** Returns how many requests of the woken worker Kafka refused as fenced. @throws when it does not go on */
async function freezeOne(runs: ReplayRuns, moment: Moment | null): Promise<number> {
  const { random, signal } = runs.stage.context
  const zombie = await (moment === null ? freezeAtRandom(runs) : freezeAt(runs, moment))
  await runs.untilMoving(runs.current())
  await sleep(random.below(2_000), undefined, { signal })
  const fencings = new Fencings(runs.passages, zombie.label)
  try {
    zombie.thaw()
    // One that slept for half a minute gives its request up and takes the lane once more: it is fenced later, or others are.
    if (moment !== null) await fencings.untilAnswered(runs.stage.roles.waiting('a woken zombie', wakeLimitMs))
    await sleep(afterWakingMs, undefined, { signal })
  } finally {
    fencings.close()
  }
  return fencings.count
}

async function freezeAtRandom(runs: ReplayRuns): Promise<RoleProcess> {
  const { random, signal } = runs.stage.context
  await runs.underWay()
  await sleep(random.below(1_000), undefined, { signal })
  const zombie = runs.pickWorker()
  zombie.freeze()
  runs.clock.fault(atRandom)
  return zombie
}

async function freezeAt(runs: ReplayRuns, moment: Moment): Promise<RoleProcess> {
  await runs.underWay()
  const { clientId } = await runs.during(
    seize(runs.passages, moment, {
      skip: runs.stage.context.random.below(8),
      act: (frame) => {
        runs.workerOf(frame.clientId).freeze()
        runs.clock.fault(moment.name)
        return 'pass'
      },
      waiting: runs.waiting(`a worker ${moment.name}`),
    }),
  )
  return runs.workerOf(clientId)
}
