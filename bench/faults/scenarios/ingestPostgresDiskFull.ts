import { setTimeout as sleep } from 'node:timers/promises'
import { escapeIdentifier, escapeLiteral } from 'pg'
import { withClient } from '../../run/world.ts'
import type { Frame, Outcome, Scenario, ScenarioContext } from '../contract.ts'
import { noDamage } from '../damage.ts'
import { type IngestFault, inflictAll } from '../ingestFaults.ts'
import { SmallDisk } from '../smallDisk.ts'
import { sqlStateOf } from '../sqlState.ts'
import { Stage } from '../stage.ts'
import { until } from '../waiting.ts'

const name = 'ingest-postgres-disk-full'
const diskMegabytes = 256
const diskFull = '53100'
const longestFullMs = 5_000
/** Some MB go into pages that the tables have already. */
const noticedWithinMs = 30_000

export const ingestPostgresDiskFull: Scenario = {
  name,
  group: 'ingest',
  title: "the disk of ingest's database is full for a while",
  rounds: { full: 6, short: 0 },
  async run(context) {
    const postgres = await context.bed.postgres()
    const disk = await SmallDisk.mount(context.bed.logs, diskMegabytes, postgres.pid)
    if (typeof disk === 'string') return skipped(context, disk)
    const tablespace = 'small_disk'
    try {
      await withClient(postgres.adminUrl, (client) =>
        client.query(`create tablespace ${tablespace} location ${escapeLiteral(disk.path)}`),
      )
      try {
        return await Stage.with(context, name, {}, (stage) => run(stage, disk, tablespace))
      } finally {
        disk.empty()
        await withClient(postgres.adminUrl, (client) => client.query(`drop tablespace ${tablespace}`))
      }
    } finally {
      await disk.unmount()
    }
  },
}

async function run(stage: Stage, disk: SmallDisk, tablespace: string): Promise<Outcome> {
  const database = escapeIdentifier(new URL(stage.ownerUrl).pathname.slice(1))
  await withClient(stage.postgres.adminUrl, (client) =>
    client.query(`alter database ${database} set tablespace ${tablespace}`),
  )
  return inflictAll(stage, { processes: 2, calmMs: 1_500, faults: [fullDisk(disk)] })
}

/** Until the server has refused something for it, and on for a while. Hits are what it refused. */
const fullDisk = (disk: SmallDisk): IngestFault => ({
  name: 'disk full',
  async inflict(ingest) {
    const { postgres, context } = ingest.stage
    let refused = 0
    const answer = (frame: Frame): 'pass' => {
      if (sqlStateOf(frame) === diskFull) refused++
      return 'pass'
    }
    postgres.passage.tap({ answer })
    try {
      disk.fill()
      const isFull = (): true | null => (refused > 0 ? true : null)
      await until(isFull, ingest.waiting('the full disk to be noticed', noticedWithinMs))
      await sleep(context.random.below(longestFullMs), undefined, { signal: context.signal })
    } finally {
      disk.empty()
      postgres.passage.tap(null)
    }
    return refused
  },
})

const skipped = ({ rounds }: ScenarioContext, why: string): Outcome => ({
  rounds,
  faults: 0,
  events: 0,
  damage: noDamage,
  longestRecoveryMs: null,
  problems: [],
  notes: [],
  skipped: why,
})
