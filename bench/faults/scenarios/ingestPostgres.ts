import { AppendSessions } from '../appendSessions.ts'
import type { Scenario } from '../contract.ts'
import { absence, type IngestFault, inflictAll } from '../ingestFaults.ts'
import type { IngestUnderLoad } from '../ingestUnderLoad.ts'
import { Stage } from '../stage.ts'
import { until } from '../waiting.ts'

const processes = 2

export const ingestPostgresCrash: Scenario = {
  name: 'ingest-postgres-crash',
  group: 'ingest',
  title: 'PostgreSQL crashes (immediate shutdown, SIGKILL) under ingest and recovers',
  rounds: { full: 10, short: 0 },
  run: (context) =>
    Stage.with(context, 'ingest-postgres-crash', {}, (stage) => {
      const { postgres } = stage
      return inflictAll(stage, {
        processes,
        calmMs: 1_500,
        faults: [
          absence('immediate shutdown', postgres, () => postgres.crash(), 4_000),
          absence('SIGKILL', postgres, () => postgres.kill(), 4_000),
        ],
      })
    }),
}

export const ingestPostgresRestart: Scenario = {
  name: 'ingest-postgres-restart',
  group: 'ingest',
  title: 'PostgreSQL is restarted under ingest',
  rounds: { full: 8, short: 0 },
  run: (context) =>
    Stage.with(context, 'ingest-postgres-restart', {}, (stage) => {
      const { postgres } = stage
      return inflictAll(stage, {
        processes,
        calmMs: 1_500,
        faults: [
          absence('restart', postgres, () => postgres.stop(), 0),
          absence('stop and start', postgres, () => postgres.stop(), 8_000),
        ],
      })
    }),
}

export const ingestPostgresTerminate: Scenario = {
  name: 'ingest-postgres-terminate',
  group: 'ingest',
  title: 'pg_terminate_backend for all connections of ingest at random moments',
  rounds: { full: 30, short: 6 },
  run: (context) =>
    Stage.with(context, 'ingest-postgres-terminate', {}, (stage) =>
      inflictAll(stage, { processes, calmMs: 1_000, faults: [terminate('once', 1), terminate('thrice', 3)] }),
    ),
}

/** All connections that there are, so many times in a row; the next time as soon as there are any. */
const terminate = (name: string, times: number): IngestFault => ({
  name,
  async inflict(ingest: IngestUnderLoad) {
    const { ownerUrl, appUrl } = ingest.stage
    const sessions = new AppendSessions(ownerUrl)
    const applicationRole = decodeURIComponent(new URL(appUrl).username)
    let ended = 0
    for (let time = 0; time < times; time++) {
      ended += await until(
        async () => (await sessions.terminateAll(applicationRole)) || null,
        ingest.waiting('connections to end', 30_000, 10),
      )
    }
    return ended
  },
})
