import { setTimeout as sleep } from 'node:timers/promises'
import type { RoleProcess } from '../run/roles.ts'
import { formatCount } from '../run/say.ts'
import type { IngestUnderLoad } from './ingestUnderLoad.ts'

export interface IngestKillsOptions {
  /** Ends the process with kill -9; resolves with what to call the moment, when it is gone. */
  readonly kill: (role: RoleProcess) => Promise<string>
  /** One kill in so many is followed by a second one before the new process can have written; 0: none is. */
  readonly doubleEvery: number
}

/**
 * One ingest process at a time, killed and replaced in each round, while the load goes on. One consumer group all along:
 * each new process takes the partitions over from the one that was killed. Returns how many kills hit a process that had
 * not written yet.
 */
export async function killInRounds(ingest: IngestUnderLoad, options: IngestKillsOptions): Promise<number> {
  const { rounds, say } = ingest.stage.context
  let doubleKills = 0
  let [role] = await ingest.begin()
  for (let round = 1; round <= rounds && role !== undefined; round++) {
    const moment = await options.kill(role)
    await ingest.kill(role)
    ingest.clock.fault(moment)
    role = await ingest.start()
    const again = await killAgain(ingest, role, options)
    if (again !== null) {
      doubleKills++
      role = again
    }
    await ingest.untilAllMove(`rows of every partition after a kill ${moment}`)
    ingest.clock.moved()
    say(
      `round ${round} of ${rounds}: killed ${moment}, ${formatCount(ingest.score().produced)} records produced`,
    )
  }
  return doubleKills
}

/** Its replacement, when this round is one with a second kill. */
async function killAgain(
  ingest: IngestUnderLoad,
  role: RoleProcess,
  { doubleEvery }: IngestKillsOptions,
): Promise<RoleProcess | null> {
  const { random, signal } = ingest.stage.context
  if (doubleEvery === 0 || random.below(doubleEvery) > 0) return null
  await sleep(random.below(3_000), undefined, { signal })
  await ingest.kill(role)
  ingest.clock.fault('at a random moment')
  return ingest.start()
}
