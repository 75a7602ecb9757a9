import { setTimeout as sleep } from 'node:timers/promises'
import { formatSeconds } from '../../run/say.ts'
import { AppendSessions } from '../appendSessions.ts'
import type { Outcome, Passage, Scenario } from '../contract.ts'
import { Cycle } from '../cycle.ts'
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
/** It stays slow for so long after the partitions were shared out anew. */
const shortestExtraMs = 1_000
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
        fast = await changeGroup(ingest, passages, slow, fast)
        if (await isBlockedWithin(ingest, sessions, shortestExtraMs + random.below(longestExtraMs)))
          outlived++
        slow.passage.reset()
        ingest.clock.fault('slow appends')
        await ingest.untilAllMove(`rows of every partition after round ${round}`)
        ingest.clock.moved()
        say(`round ${round} of ${rounds}: ${outlived} times a new owner had to wait`)
      }
      if (outlived === 0) ingest.problem('no append outlived its assignment')
      const longest = `the longest open append was ${formatSeconds(longestMs / 1000)} old`
      return {
        faults: outlived,
        notes: [`${outlived} times a new owner waited for an append of the old one; ${longest}`],
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

/** Whether, in this time, an append waits for the lock of another one: a new owner for the old one. */
async function isBlockedWithin(
  { stage }: IngestUnderLoad,
  sessions: AppendSessions,
  limitMs: number,
): Promise<boolean> {
  const deadlineMs = performance.now() + limitMs
  let isBlocked = false
  while (performance.now() < deadlineMs) {
    isBlocked ||= (await sessions.blocked()) > 0
    await sleep(50, undefined, { signal: stage.context.signal })
  }
  return isBlocked
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
  else await ingest.stop(fast.role)
  const labels = next === null ? [slow.role.label] : [slow.role.label, next.role.label]
  await ingest.group.untilMembers(labels, ingest.waiting('the group to be shared out anew'))
  return next
}
