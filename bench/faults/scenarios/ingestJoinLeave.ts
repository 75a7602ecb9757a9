import { setTimeout as sleep } from 'node:timers/promises'
import type { RoleProcess } from '../../run/roles.ts'
import type { Outcome, Scenario } from '../contract.ts'
import { type IngestUnderLoad, underLoad } from '../ingestUnderLoad.ts'
import { RebalanceWatch } from '../rebalances.ts'
import { Stage } from '../stage.ts'

const mostProcesses = 3
/** Changes of one round, each before the one before can have settled. */
const mostChanges = 3
const longestPauseMs = 1_200

type Change = 'join' | 'SIGTERM' | 'kill -9'

export const ingestJoinLeave: Scenario = {
  name: 'ingest-join-leave',
  group: 'ingest',
  title: 'one to three ingest processes join, leave and are killed while they write',
  rounds: { full: 14, short: 0 },
  run: (context) => Stage.with(context, 'ingest-join-leave', {}, run),
}

function run(stage: Stage): Promise<Outcome> {
  const { kafka, postgres, context } = stage
  const { rounds, random, say, signal } = context
  return underLoad(stage, {}, async (ingest) => {
    const rebalances = new RebalanceWatch(kafka, postgres.passage)
    const counts: Record<Change, number> = { join: 0, SIGTERM: 0, 'kill -9': 0 }
    await ingest.begin(2)
    for (let round = 1; round <= rounds; round++) {
      const changes = random.below(2) === 0 ? 1 : 2 + random.below(mostChanges - 1)
      let last: Change = 'join'
      for (let change = 1; change <= changes; change++) {
        last = nextChange(ingest)
        counts[last]++
        await make(ingest, last, changes === 1 ? `${last} alone` : 'several changes at once')
        if (change < changes) await sleep(random.below(longestPauseMs), undefined, { signal })
      }
      await untilSettled(ingest)
      say(`round ${round} of ${rounds}: ${changes} changes, the last one ${last}`)
    }
    rebalances.close()
    if (rebalances.appends === 0) ingest.problem('nothing was appended during a rebalance')
    return {
      faults: counts.join + counts.SIGTERM + counts['kill -9'],
      notes: [
        `${counts.join} joined, ${counts.SIGTERM} left at SIGTERM, ${counts['kill -9']} were killed; ` +
          `${rebalances.joins} joins, ${rebalances.appends} appends during rebalances`,
        ingest.clock.byKind(),
      ],
    }
  })
}

/** Nobody leaves an empty group behind, and there is a limit to how many there are. */
function nextChange({ stage, processes }: IngestUnderLoad): Change {
  const { random } = stage.context
  if (processes.length <= 1) return 'join'
  if (processes.length >= mostProcesses) return random.pick(['SIGTERM', 'kill -9'])
  return random.pick(['join', 'SIGTERM', 'kill -9'])
}

async function make(ingest: IngestUnderLoad, change: Change, kind: string): Promise<void> {
  if (change === 'join') await ingest.start()
  else if (change === 'kill -9') await ingest.kill(pickOne(ingest))
  else await ingest.stop(pickOne(ingest))
  ingest.clock.fault(kind)
}

/** The group consists of those that run, and every partition moves. */
async function untilSettled(ingest: IngestUnderLoad): Promise<void> {
  const labels = ingest.processes.map(({ label }) => label)
  await ingest.untilAllMove('rows of every partition after the group changed')
  ingest.clock.moved()
  await ingest.group.untilMembers(labels, ingest.waiting('the group to settle'))
  await ingest.untilAllMove('rows of every partition in the new group')
}

function pickOne({ stage, processes }: IngestUnderLoad): RoleProcess {
  const role = processes[stage.context.random.below(processes.length)]
  if (role === undefined) throw new Error('there is no process')
  return role
}
