import { setTimeout as sleep } from 'node:timers/promises'
import { formatSeconds } from '../../run/say.ts'
import { AppendSessions } from '../appendSessions.ts'
import type { Outcome, Passage, Scenario } from '../contract.ts'
import { Cycle } from '../cycle.ts'
import { stopInOrder } from '../ingestStop.ts'
import { type IngestUnderLoad, underLoad } from '../ingestUnderLoad.ts'
import { type Apart, OwnPassages } from '../ownPassages.ts'
import { Stage, sessionTimeoutMs } from '../stage.ts'
import { until } from '../waiting.ts'

type Slowness = (passage: Passage) => void

/** Each makes appends take longer than a session of the group. */
const slownesses: readonly [Slowness, ...Slowness[]] = [
  (passage) => passage.delay(500, 200),
  (passage) => passage.delay(1_500, 500),
  (passage) => passage.throttle(8_000),
]
const longestExtraMs = 4_000

export const ingestSlowHandler: Scenario = {
  name: 'ingest-slow-handler',
  group: 'ingest',
  title: 'appends that outlive the assignment of their partitions, which move to another process and back',
  rounds: { full: 8, short: 0 },
  run: (context) => Stage.with(context, 'ingest-slow-handler', {}, run),
}

function run(stage: Stage): Promise<Outcome> {
  const { rounds, random, say } = stage.context
  return underLoad(stage, {}, (ingest) =>
    OwnPassages.with(ingest, async (passages) => {
      const sessions = new AppendSessions(stage.ownerUrl)
      const cycle = new Cycle(slownesses, random)
      const slow = await passages.start()
      let fast: Apart | null = null
      await ingest.begin(0)
      let [outlived, longestMs] = [0, 0]
      for (let round = 1; round <= rounds; round++) {
        cycle.next()(slow.passage)
        longestMs = Math.max(longestMs, await untilSlow(ingest, sessions))
        const before = await sessions.now()
        fast = await changeGroup(ingest, passages, slow, fast)
        if ((await sessions.openSince(before)) > 0) outlived++
        await sleep(random.below(longestExtraMs), undefined, { signal: stage.context.signal })
        slow.passage.reset()
        await ingest.untilAllMove(`rows of every partition after round ${round}`)
        say(`round ${round} of ${rounds}: ${outlived} times an append outlived its assignment`)
      }
      if (outlived === 0) ingest.problem('no append outlived its assignment')
      const longest = `an open append was ${formatSeconds(longestMs / 1000)} old`
      return {
        faults: outlived,
        notes: [`${outlived} of ${rounds} times an append outlived its assignment; ${longest}`],
      }
    }),
  )
}

/** Resolves when an append has taken longer than a session may be silent; returns how long, ms. */
function untilSlow(ingest: IngestUnderLoad, sessions: AppendSessions): Promise<number> {
  return until(async () => {
    const longestMs = await sessions.longestMs()
    return longestMs > sessionTimeoutMs ? longestMs : null
  }, ingest.waiting('an append that takes longer than a session'))
}

/** A second process comes, or goes; resolves when the partitions have been shared out anew. */
async function changeGroup(
  ingest: IngestUnderLoad,
  passages: OwnPassages,
  slow: Apart,
  fast: Apart | null,
): Promise<Apart | null> {
  let next: Apart | null = null
  if (fast === null) next = await passages.start()
  else {
    const { tookMs, problems } = await stopInOrder(ingest.stage, fast.role)
    ingest.stopped(tookMs, problems, fast.role)
  }
  const labels = next === null ? [slow.role.label] : [slow.role.label, next.role.label]
  await ingest.group.untilMembers(labels, ingest.waiting('the group to be shared out anew'))
  return next
}
