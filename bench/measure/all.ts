import { createApi } from '../run/api.ts'
import { withClient } from '../run/world.ts'
import { type Bed, roleEnvironment } from './bed.ts'
import { type IngestedDatabase, type IngestMeasure, measureCopy, measureIngest } from './ingest.ts'
import { measureProducer, measureReplay, type ReplayMeasure } from './replay.ts'
import type { Measured } from './report.ts'

/** Each measurement takes turns with its limit, so that both see the same machine. */
export async function measureAll(bed: Bed): Promise<Omit<Measured, 'events' | 'machine'>> {
  const { ingest, copy, database } = await measureIngests(bed)
  const { replay, producer } = await measureReplays(bed, database)
  return { ingest, copy, replay, producer }
}

async function measureIngests(bed: Bed) {
  const ingest: IngestMeasure[] = []
  const copy: number[] = []
  let last: IngestedDatabase | null = null
  for (let run = 1; run <= bed.options.repeat; run++) {
    if (last !== null) await bed.world.dropDatabase(last.name)
    const { measure, database } = await measureIngest(bed, run)
    ingest.push(measure)
    copy.push(await measureCopy(bed, run, database))
    last = database
  }
  if (last === null) throw new RangeError('nothing was measured')
  return { ingest, copy, database: last }
}

async function measureReplays(bed: Bed, database: IngestedDatabase) {
  const { world, signal } = bed
  // As autovacuum would have done by the time that anybody replays; without statistics the first pages are slow.
  await withClient(database.ownerUrl, (client) => client.query('vacuum analyze'))
  const env = roleEnvironment(bed, database.appUrl, 'replay')
  const [worker, apiRole] = await Promise.all([world.startRole('worker', env), world.startRole('api', env)])
  await Promise.all([worker.ready(signal), apiRole.ready(signal)])
  const api = createApi(apiRole.url, 'bench')
  const replay: ReplayMeasure[] = []
  const producer: number[] = []
  for (let run = 1; run <= bed.options.repeat; run++) {
    replay.push(await measureReplay(bed, run, api, worker))
    const limit = await measureProducer(bed, run)
    if (limit !== null) producer.push(limit)
  }
  return { replay, producer }
}
