import { setTimeout as sleep } from 'node:timers/promises'
import type { ReplayView } from '../../../src/domain/replayView.ts'
import { type Api, ApiError } from '../../run/api.ts'
import { formatSeconds } from '../../run/say.ts'
import type { Outcome, Scenario } from '../contract.ts'
import { judgeReplays } from '../judgeReplays.ts'
import { forgetStart, mostCrowdedBytes, peaksOf } from '../limits/peaks.ts'
import { untilEnded } from '../replays.ts'
import { makeSourceLog } from '../sourceLog.ts'
import { Stage } from '../stage.ts'

const atOnce = { full: 100, short: 20 }
const partitions = 2
const records = 2_000
/** Two replays go into each target. */
const replaysPerTarget = 2
const patienceMs = 900_000

export const limitsReplays: Scenario = {
  name: 'limits-replays',
  group: 'limits',
  title: 'a hundred replays at once, for one worker that runs eight slices at once',
  rounds: { full: 1, short: 0 },
  limitMs: (rounds) => 300_000 + rounds * patienceMs,
  run: (context) => Stage.with(context, 'limits-replays', { temporal: true }, run),
}

async function run(stage: Stage): Promise<Outcome> {
  const { rounds, short } = stage.context
  const log = await makeSourceLog(stage, { partitions, records })
  const { api, role } = await stage.startApi()
  const worker = await stage.roles.startReady('worker', { KAFKA_TOPICS: log.topic })
  forgetStart([role, worker])
  const ended: ReplayView[] = []
  const notes: string[] = []
  for (let round = 1; round <= rounds; round++) {
    const count = short ? atOnce.short : atOnce.full
    const { views, refusals, seconds } = await replayAtOnce(stage, api, { topic: log.topic, round, count })
    ended.push(...views)
    notes.push(
      `${count} replays of ${log.score.accepted} events were done after ${formatSeconds(seconds)}; ` +
        `the API put ${refusals} requests off`,
    )
  }
  const peaks = peaksOf([role, worker], mostCrowdedBytes)
  await stage.roles.stopAll()
  const judged = await judgeReplays(stage, log, ended)
  return {
    rounds,
    faults: ended.length,
    events: judged.events,
    damage: judged.damage,
    longestRecoveryMs: null,
    problems: [...judged.problems, ...peaks.problems],
    notes: [...notes, ...peaks.notes],
  }
}

interface Wave {
  readonly topic: string
  readonly round: number
  readonly count: number
}

async function replayAtOnce(
  { world, roles, context }: Stage,
  api: Api,
  { topic, round, count }: Wave,
): Promise<{ views: ReplayView[]; refusals: number; seconds: number }> {
  const startedMs = performance.now()
  let [refusals, done] = [0, 0]
  const targets = Array.from({ length: Math.ceil(count / replaysPerTarget) }, (_, number) =>
    world.topicName(`target-${round}-${number + 1}`),
  )
  const one = async (number: number): Promise<ReplayView> => {
    const targetTopic = targets[Math.floor(number / replaysPerTarget)] ?? ''
    const replayId = `${world.name}-${round}-${number + 1}`
    for (;;) {
      try {
        await api.startReplay({ topic, targetTopic }, replayId)
        break
      } catch (error) {
        // Refusing for the moment is fine; the same request again is the same replay.
        if (!(error instanceof ApiError) || error.status < 500) throw error
        refusals++
        await sleep(500, undefined, { signal: context.signal })
      }
    }
    const view = await untilEnded(api, replayId, {
      ...roles.waiting(`the end of ${replayId}`, patienceMs),
      everyMs: 2_000,
    })
    context.say(`${++done} of ${count} replays ended`)
    return view
  }
  const views = await Promise.all(Array.from({ length: count }, (_, number) => one(number)))
  return { views, refusals, seconds: (performance.now() - startedMs) / 1000 }
}
