import { setTimeout as sleep } from 'node:timers/promises'
import { createTopic } from '../../run/topics.ts'
import type { Outcome, Scenario } from '../contract.ts'
import { judgeReplays } from '../judgeReplays.ts'
import { ReplayRuns, replayRunsEnv } from '../replayRuns.ts'
import { makeSourceLog } from '../sourceLog.ts'
import { Stage } from '../stage.ts'

const patienceMs = 150_000
const records = 20_000
const partitions = 4

/** How long there is no topic of this name, ms. */
const absences = [0, 300, 3_000] as const

export const replayTargetRecreated: Scenario = {
  name: 'replay-target-recreated',
  group: 'replay',
  title: 'the target deleted and made again under a replay: it fails closed and claims nothing',
  rounds: { full: 6, short: 0 },
  run: (context) =>
    Stage.with(
      context,
      'replay-target-recreated',
      { temporal: true, env: { ...replayRunsEnv, REPLAY_SLICE_MS: '5000' } },
      run,
    ),
}

async function run(stage: Stage): Promise<Outcome> {
  const { context, roles } = stage
  const { rounds, say } = context
  const log = await makeSourceLog(stage, { partitions, records })
  const runs = new ReplayRuns(stage, log, { workers: 2, patienceMs })
  await runs.open()
  const problems: string[] = []
  const failed = new Set<string>()
  for (let round = 1; round <= rounds; round++) {
    const absentMs = absences[(round - 1) % absences.length] ?? 0
    const { replayId, target } = await runs.underWay()
    await remake(stage, target, absentMs)
    runs.clock.fault(`noticed, absent for ${absentMs} ms`)
    const view = await runs.end()
    runs.clock.moved()
    failed.add(replayId)
    const code = view?.error?.code
    if (view?.status !== 'failed' || (code !== 'TARGET_RECREATED' && code !== 'TARGET_MISSING'))
      problems.push(`${replayId} is ${view?.status} with ${code ?? 'no code'}: its target is another topic`)
    if (view?.receipt !== undefined) problems.push(`${replayId} has a receipt for a topic that is gone`)
    // The way out: a new replay into the new topic.
    await runs.begin({ targetTopic: target })
    await runs.end()
    say(`round ${round} of ${rounds}: absent for ${absentMs} ms, ${code}`)
  }
  await roles.stopAll()
  const judgement = await judgeReplays(stage, log, runs.ended, { ends: ['failed'], goneTargets: failed })
  return {
    rounds,
    faults: rounds,
    events: judgement.events,
    damage: judgement.damage,
    longestRecoveryMs: null,
    problems: [...problems, ...judgement.problems],
    notes: [runs.clock.byKind()],
  }
}

async function remake({ world, context }: Stage, target: string, absentMs: number): Promise<void> {
  await sleep(context.random.below(800), undefined, { signal: context.signal })
  await world.admin.deleteTopics({ topics: [target] })
  await sleep(absentMs, undefined, { signal: context.signal })
  await createTopic(world.admin, target, partitions, { 'retention.ms': '-1' })
}
