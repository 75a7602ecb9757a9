import type { Outcome, Scenario, ScenarioContext } from '../contract.ts'
import { moments } from '../moments.ts'
import { ReplayRuns, replayRunsEnv } from '../replayRuns.ts'
import { killServer, type ServerKills } from '../serverKills.ts'
import { makeSourceLog } from '../sourceLog.ts'
import { Stage } from '../stage.ts'

const patienceMs = 120_000
const records = 40_000
/** Short slices: without Temporal all logs stand still soon. */
const env = { ...replayRunsEnv, REPLAY_SLICE_MS: '2000' }

async function run(stage: Stage, kills: ServerKills): Promise<Outcome> {
  const log = await makeSourceLog(stage, { partitions: 4, records })
  return killServer(new ReplayRuns(stage, log, { workers: 2, patienceMs }), kills)
}

const withStage = (
  context: ScenarioContext,
  name: string,
  killsOf: (stage: Stage) => ServerKills,
): Promise<Outcome> =>
  Stage.with(context, name, { temporal: true, env }, (stage) => run(stage, killsOf(stage)))

export const replayTemporalKill: Scenario = {
  name: 'replay-temporal-kill',
  group: 'replay',
  title: 'kill -9 of the Temporal server under replays; it comes back with its data',
  rounds: { full: 8, short: 0 },
  run: (context) =>
    withStage(context, 'replay-temporal-kill', ({ temporal }) => {
      if (temporal === null) throw new Error('no Temporal')
      return {
        server: temporal,
        kill: () => temporal.kill(),
        moments: [null],
        longestAbsenceMs: 8_000,
      }
    }),
}

export const replayKafkaKill: Scenario = {
  name: 'replay-kafka-kill',
  group: 'replay',
  title: 'kill -9 of the only Kafka node inside transactions of replays',
  rounds: { full: 8, short: 0 },
  run: (context) =>
    withStage(context, 'replay-kafka-kill', ({ kafka }) => {
      const [node] = kafka.nodes
      if (node === undefined) throw new Error('no Kafka')
      return {
        server: node,
        kill: () => node.kill(),
        moments: [moments.sent, moments.cursorSent, moments.committing, moments.committed, moments.begun],
        longestAbsenceMs: 3_000,
      }
    }),
}

export const replayPostgresCrash: Scenario = {
  name: 'replay-postgres-crash',
  group: 'replay',
  title: 'crash of PostgreSQL (immediate shutdown) under replays, also inside their transactions',
  rounds: { full: 10, short: 0 },
  run: (context) =>
    withStage(context, 'replay-postgres-crash', ({ postgres }) => ({
      server: postgres,
      kill: () => postgres.crash(),
      moments: [null, moments.sent, moments.cursorSent, moments.committed, moments.begun],
      longestAbsenceMs: 3_000,
    })),
}
