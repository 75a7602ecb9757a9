import { setTimeout as sleep } from 'node:timers/promises'
import type { Outcome, ServerProcess } from './contract.ts'
import { judgeReplays } from './judgeReplays.ts'
import { type Moment, seize } from './moments.ts'
import type { ReplayRuns } from './replayRuns.ts'

export interface ServerKills {
  readonly server: Pick<ServerProcess, 'start'>
  /** Sends the signal before it returns its promise, which resolves when the server is gone. */
  kill(): Promise<void>
  /** In turn; null: a random moment. */
  readonly moments: readonly (Moment | null)[]
  readonly longestAbsenceMs: number
}

const atRandom = 'at a random moment'

/**
 * Kills a server so many times under replays that run, starts it again after a while and waits until all partitions move:
 * the outcome of a whole scenario. Recovery counts from when the server serves again.
 */
export async function killServer(runs: ReplayRuns, kills: ServerKills): Promise<Outcome> {
  const { context, roles } = runs.stage
  const { rounds, random, say, signal } = context
  await runs.open()
  for (let round = 1; round <= rounds; round++) {
    const moment = kills.moments[(round - 1) % kills.moments.length] ?? null
    await runs.underWay()
    await (moment === null ? killAtRandom(runs, kills) : killAtMoment(runs, kills, moment))
    await sleep(random.below(kills.longestAbsenceMs), undefined, { signal })
    await kills.server.start()
    runs.clock.fault(moment?.name ?? atRandom)
    await runs.untilMoving(runs.current())
    say(`round ${round} of ${rounds}: killed ${moment?.name ?? atRandom}`)
  }
  await runs.end()
  await roles.stopAll()
  const { damage, events, problems } = await judgeReplays(runs.stage, runs.log, runs.ended)
  return {
    rounds,
    faults: rounds,
    events,
    damage,
    longestRecoveryMs: runs.clock.longestMs,
    problems,
    notes: [`counted from when the server serves again, ${runs.clock.byKind()}`],
  }
}

async function killAtRandom({ stage }: ReplayRuns, { kill }: ServerKills): Promise<void> {
  const { random, signal } = stage.context
  await sleep(random.below(1_000), undefined, { signal })
  await kill()
}

async function killAtMoment(runs: ReplayRuns, { kill }: ServerKills, moment: Moment): Promise<void> {
  let killed: Promise<void> = Promise.resolve()
  await runs.during(
    seize(runs.passages, moment, {
      skip: runs.stage.context.random.below(8),
      act: () => {
        killed = kill()
        killed.catch(() => undefined)
        return 'pass'
      },
      waiting: runs.waiting(`the moment ${moment.name}`),
    }),
  )
  await killed
}
