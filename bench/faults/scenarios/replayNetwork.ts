import { setTimeout as sleep } from 'node:timers/promises'
import type { Outcome, Passage, Scenario } from '../contract.ts'
import { judgeReplays } from '../judgeReplays.ts'
import { ReplayRuns, replayRunsEnv } from '../replayRuns.ts'
import { makeSourceLog } from '../sourceLog.ts'
import { Stage } from '../stage.ts'
import { until } from '../waiting.ts'

/** Whoever lost a connection without a word finds out by time-outs of its own, of half a minute and more. */
const patienceMs = 150_000
const records = 40_000
const sliceMs = 3_000
/** By then every slice has ended that needed Temporal only at its beginning. */
const withoutTemporalMs = sliceMs + 1_000

interface Fault {
  readonly name: string
  /** Resolves when recovery can begin: at once where the fault stays and replays have to go on under it. */
  apply(passage: Passage, context: Stage['context']): Promise<void>
}

const faults: readonly Fault[] = [
  {
    name: 'latency',
    apply: async (passage, { random }) => passage.delay(50 + random.below(200), 100),
  },
  {
    name: 'bandwidth',
    apply: async (passage, { random }) => passage.throttle(20_000 + random.below(60_000)),
  },
  {
    name: 'resets',
    async apply(passage, { random, signal }) {
      for (let left = 3 + random.below(6); left > 0; left--) {
        passage.cut()
        await sleep(random.below(500), undefined, { signal })
      }
    },
  },
  {
    name: 'half-open for a while',
    async apply(passage, { random, signal }) {
      passage.deafen()
      await sleep(1_000 + random.below(7_000), undefined, { signal })
      passage.reset()
    },
  },
  {
    name: 'connections that are lost without a word',
    apply: async (passage) => passage.silence(),
  },
]

const servers = ['kafka', 'postgres', 'temporal'] as const

/** Every fault on the way to every server. */
const places = faults.flatMap((fault) => servers.map((server) => ({ fault, server })))

export const replayNetwork: Scenario = {
  name: 'replay-network',
  group: 'replay',
  title: 'slow, narrow, breaking and dead connections of replay workers to Kafka, PostgreSQL and Temporal',
  rounds: { full: places.length, short: 0 },
  run: (context) =>
    Stage.with(
      context,
      'replay-network',
      { temporal: true, env: { ...replayRunsEnv, REPLAY_SLICE_MS: String(sliceMs) } },
      run,
    ),
}

async function run(stage: Stage): Promise<Outcome> {
  const { context, roles } = stage
  const { rounds, say } = context
  const log = await makeSourceLog(stage, { partitions: 4, records })
  const runs = new ReplayRuns(stage, log, { workers: 2, patienceMs })
  await runs.open()
  for (let round = 1; round <= rounds; round++) {
    const place = places[(round - 1) % places.length]
    if (place === undefined) break
    const { fault, server } = place
    await runs.underWay()
    const passages = passagesTo(stage, server)
    const forwarded = (): number => passages.reduce((sum, passage) => sum + passage.forwarded, 0)
    const before = forwarded()
    await Promise.all(passages.map((passage) => fault.apply(passage, context)))
    runs.clock.fault(`${fault.name} (${server})`)
    if (server === 'temporal') await sleep(withoutTemporalMs, undefined, { signal: context.signal })
    await runs.untilMoving(runs.current())
    // Slices go on without Temporal for a while: only this shows that workers find their way to it again.
    await until(() => (forwarded() > before ? true : null), runs.waiting('anything to cross the passage'))
    for (const passage of passages) passage.reset()
    say(`round ${round} of ${rounds}: ${fault.name}, ${server}`)
  }
  await runs.end()
  await roles.stopAll()
  const judgement = await judgeReplays(stage, log, runs.ended)
  return {
    rounds,
    faults: rounds,
    events: judgement.events,
    damage: judgement.damage,
    longestRecoveryMs: runs.clock.longestMs,
    problems: judgement.problems,
    notes: [runs.clock.byKind()],
  }
}

function passagesTo({ kafka, postgres, temporal }: Stage, server: (typeof servers)[number]): Passage[] {
  switch (server) {
    case 'kafka':
      return kafka.nodes.map(({ passage }) => passage)
    case 'postgres':
      return [postgres.passage]
    case 'temporal':
      return temporal === null ? [] : [temporal.passage]
    default:
      return server satisfies never
  }
}
