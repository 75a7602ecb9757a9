import { setTimeout as sleep } from 'node:timers/promises'
import type { Outcome, Scenario } from '../contract.ts'
import { judgeReplays } from '../judgeReplays.ts'
import { type Moment, moments, seize } from '../moments.ts'
import { ReplayRuns, replayRunsEnv } from '../replayRuns.ts'
import { makeSourceLog } from '../sourceLog.ts'
import { Stage } from '../stage.ts'

const patienceMs = 90_000
const records = 30_000

interface Step {
  readonly name: string
  readonly moment: Moment
  /** What becomes of the frame: the server's work is done, or on its way, and the worker sees it or does not. */
  readonly verdict: 'pass' | 'cut'
  /** The kill comes up to so much later; at once when left out. */
  readonly withinMs?: number
  /** Only the beginning of a replay goes through it. */
  readonly fresh?: boolean
}

const steps: readonly [Step, ...Step[]] = [
  { name: 'after begin', moment: moments.begun, verdict: 'cut' },
  { name: 'after send', moment: moments.sent, verdict: 'cut' },
  { name: 'after sendOffsets', moment: moments.cursorSent, verdict: 'cut' },
  // Whether the commit is carried out, nobody knows.
  { name: 'during commit', moment: moments.committing, verdict: 'pass' },
  { name: 'committed, not told', moment: moments.committed, verdict: 'cut' },
  { name: 'after commit, before the heartbeat', moment: moments.committed, verdict: 'pass', withinMs: 15 },
  {
    name: 'around the first cursor',
    moment: {
      ...moments.cursorSent,
      side: 'request',
      matches: ({ bytes }) => bytes.includes('"events":"0"'),
    },
    verdict: 'pass',
    withinMs: 15,
    fresh: true,
  },
]

export const replayKillSteps: Scenario = {
  name: 'replay-kill-steps',
  group: 'replay',
  title: 'kill -9 of a replay worker at each step of a transaction',
  rounds: { full: 2 * steps.length, short: 0 },
  run: (context) =>
    Stage.with(
      context,
      'replay-kill-steps',
      // Short slices: each begins with a new producer.
      { temporal: true, env: { ...replayRunsEnv, REPLAY_SLICE_MS: '1000' } },
      run,
    ),
}

async function run(stage: Stage): Promise<Outcome> {
  const { context, roles } = stage
  const { rounds, say } = context
  const log = await makeSourceLog(stage, { partitions: 4, records })
  const runs = new ReplayRuns(stage, log, { workers: 2, patienceMs })
  await runs.open()
  const hits = new Map<string, number>()
  for (let round = 1; round <= rounds; round++) {
    const step = steps[(round - 1) % steps.length] ?? steps[0]
    await killAt(runs, step)
    hits.set(step.name, (hits.get(step.name) ?? 0) + 1)
    say(`round ${round} of ${rounds}: ${step.name}`)
  }
  await runs.end()
  await roles.stopAll()
  const { damage, events, problems } = await judgeReplays(stage, log, runs.ended)
  return {
    rounds,
    faults: rounds,
    events,
    damage,
    longestRecoveryMs: runs.clock.longestMs,
    problems,
    notes: [`kills: ${[...hits].map(([name, count]) => `${count} ${name}`).join(', ')}`, runs.clock.byKind()],
  }
}

/** @throws when no worker gets there */
async function killAt(runs: ReplayRuns, { name, moment, verdict, withinMs, fresh }: Step): Promise<void> {
  const { context, roles } = runs.stage
  const { random, signal } = context
  if (fresh === true) await runs.end()
  else await runs.underWay()
  const seizing = seize(runs.passages, moment, {
    of: (clientId) => runs.workers.some(({ label }) => label === clientId),
    skip: random.below(4),
    act: ({ clientId }) => {
      if (withinMs === undefined) roles.killNow(runs.workerOf(clientId))
      runs.clock.fault(name)
      return verdict
    },
    waiting: runs.waiting(`the step ${name}`),
  })
  if (fresh === true) await runs.begin()
  const { clientId } = await (fresh === true ? seizing : runs.during(seizing))
  if (withinMs !== undefined) await sleep(random.below(withinMs), undefined, { signal })
  const victim = runs.workerOf(clientId)
  await roles.kill(victim)
  await runs.replace(victim)
  await runs.untilMoving(runs.current())
}
