import { rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { copyIn, copyOut } from '../limits/copy.ts'
import { type CpuPerEvent, measureCpu, peakMemory, resetPeakMemory } from '../run/cpu.ts'
import { RateMeter, type Sample } from '../run/rate.ts'
import { formatCount, formatRate } from '../run/say.ts'
import { countLogged, watchUntil } from '../run/watch.ts'
import { withClient } from '../run/world.ts'
import { type Bed, roleEnvironment } from './bed.ts'

export interface IngestMeasure {
  readonly eventsPerSecond: number
  readonly cpu: CpuPerEvent
  readonly peakBytes: number | null
}

export interface IngestedDatabase {
  readonly appUrl: string
  readonly ownerUrl: string
  readonly name: string
}

/** One ingest process, from its first rows to its last, into a database that nothing was in before. */
export async function measureIngest(
  bed: Bed,
  run: number,
): Promise<{ measure: IngestMeasure; database: IngestedDatabase }> {
  const { world, options, say, signal } = bed
  const database = await world.createDatabase(`-${run}`)
  await checkpointDatabase(bed)
  const role = await world.startRole('ingest', roleEnvironment(bed, database.appUrl, `ingest-${run}`))
  const pids = { node: role.pid, postgres: bed.serverPids.postgres, kafka: bed.serverPids.kafka }
  const meter = new RateMeter()
  resetPeakMemory(role.pid)
  let first: { readonly at: Sample; readonly cpu: (events: number) => CpuPerEvent } | null = null
  await withClient(database.ownerUrl, (client) =>
    watchUntil(() => countLogged(client), options.events, {
      everyMs: 25,
      patienceMs: 60_000,
      what: 'ingest',
      signal,
      check: () => role.check(),
      onSample: (sample) => {
        meter.add(sample)
        if (sample.count > 0) first ??= { at: sample, cpu: measureCpu(pids) }
        say.progress(`ingest ${run}: ${formatCount(sample.count)} of ${formatCount(options.events)}`)
      },
    }),
  )
  const measure = {
    eventsPerSecond: meter.perSecond(),
    cpu: cpuSince(first, options.events),
    peakBytes: peakMemory(role.pid),
  }
  await role.stop()
  say.line(`ingest ${run}: ${formatRate(measure.eventsPerSecond)}`)
  return { measure, database }
}

/** The same start for whatever is measured next: nothing left to be written out. */
export const checkpointDatabase = ({ world }: Bed): Promise<unknown> =>
  withClient(world.env.DATABASE_ADMIN_URL, (client) => client.query('checkpoint'))

export function cpuSince(
  first: { readonly at: Sample; readonly cpu: (events: number) => CpuPerEvent } | null,
  events: number,
): CpuPerEvent {
  return first === null ? {} : first.cpu(Math.max(1, events - first.at.count))
}

/** The limit: text COPY of the same rows into the same table of another database, on two connections at once. */
export async function measureCopy(bed: Bed, run: number, from: IngestedDatabase): Promise<number> {
  const { world, options, partitions, say } = bed
  const halves = [0, 1].map((half) => ({
    partitions: Array.from({ length: partitions }, (_, partition) => partition).filter((p) => p % 2 === half),
    path: join(tmpdir(), `${world.name}-${half}.copy`),
  }))
  const database = await world.createDatabase(`-copy-${run}`)
  try {
    for (const half of halves) await copyOut(from.ownerUrl, half.partitions, half.path)
    const bytes = halves.reduce((sum, { path }) => sum + statSync(path).size, 0)
    await checkpointDatabase(bed)
    const paths = halves.map(({ path }) => path)
    const seconds = await copyIn(database.ownerUrl, paths)
    const rate = options.events / seconds
    say.line(`COPY   ${run}: ${formatRate(rate)} (${Math.round(bytes / options.events)} bytes of text a row)`)
    return rate
  } finally {
    for (const { path } of halves) rmSync(path, { force: true })
    await world.dropDatabase(database.name)
  }
}
