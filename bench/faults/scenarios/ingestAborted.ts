import { setTimeout as sleep } from 'node:timers/promises'
import type { RoleProcess } from '../../run/roles.ts'
import { formatCount } from '../../run/say.ts'
import type { Outcome, Scenario } from '../contract.ts'
import { batchSettings } from '../ingestUnderLoad.ts'
import { judgeLog } from '../judgeLog.ts'
import { judgeSource } from '../judgeTarget.ts'
import { killAtRandom } from '../kills.ts'
import { RecoveryClock } from '../recovery.ts'
import { SourceLogs } from '../sourceLogs.ts'
import { Stage } from '../stage.ts'
import { TransactionMix } from '../transactionMix.ts'
import { until } from '../waiting.ts'

const partitions = 3
const producers = 6
const patienceMs = 90_000
/** Markers of the last transactions may come after their answers. */
const settleMs = 500

export const ingestAborted: Scenario = {
  name: 'ingest-aborted',
  group: 'ingest',
  title: 'transactions of several producers that overlap and abort, ingest killed in between',
  rounds: { full: 15, short: 2 },
  // Fetches bring little, so that many transactions begin in one and end in another.
  run: (context) => Stage.with(context, 'ingest-aborted', { env: { KAFKA_FETCH_MAX_BYTES: '65536' } }, run),
}

async function run(stage: Stage): Promise<Outcome> {
  const { world, kafka, context, roles } = stage
  const { rounds, random, signal, say } = context
  const topic = await world.createTopic('source', partitions)
  const mix = new TransactionMix({ brokers: kafka.brokers, topic, partitions, producers, random, signal })
  const watch = stage.watch(topic)
  const clock = new RecoveryClock()
  const waiting = (what: string) => roles.waiting(what, patienceMs)
  const start = (): Promise<RoleProcess> =>
    roles.start('ingest', { KAFKA_TOPICS: topic, ...random.pick(batchSettings) })
  const kill = killAtRandom(context, roles, [100, 600, 2_000])
  mix.start()
  try {
    let role = await start()
    await watch.untilAllGrow(new Map(), partitions, waiting('the first rows'))
    for (let round = 1; round <= rounds; round++) {
      await kill(role)
      clock.fault()
      role = await start()
      const before = (await watch.sizes()) ?? new Map()
      await watch.untilAllGrow(before, partitions, waiting('rows of every partition after a kill'))
      clock.moved()
      say(`round ${round} of ${rounds}, ${formatCount(mix.abortedRecords)} records aborted`)
    }
  } finally {
    await mix.stop()
  }
  const ends = await untilAtEnd(stage, topic)
  await roles.stopAll()
  return judge(stage, mix, { ends, clock })
}

/** Everything has ended, and the logs go on behind the last marker of each partition. Returns the ends. */
async function untilAtEnd({ world, ownerUrl, roles, context }: Stage, topic: string): Promise<number[]> {
  const logs = new SourceLogs(ownerUrl, topic)
  await sleep(settleMs, undefined, { signal: context.signal })
  return until(
    async () => {
      const bounds = await world.admin.fetchTopicOffsets(topic)
      const ends = bounds.sort((a, b) => a.partition - b.partition).map(({ high }) => Number(high))
      return (await logs.nextOffsets(partitions)).join() === ends.join() ? ends : null
    },
    roles.waiting('the logs to go on behind the last markers', patienceMs),
  )
}

async function judge(
  { context, kafka, ownerUrl }: Stage,
  mix: TransactionMix,
  { ends, clock }: { readonly ends: readonly number[]; readonly clock: RecoveryClock },
): Promise<Outcome> {
  const { rounds, reader, say, signal } = context
  const { counts, overlaps, abortedRecords } = mix
  const score = mix.score()
  say('reading everything back')
  const log = await judgeLog(ownerUrl, { ...score, ends }, {}, signal)
  const source = await judgeSource(reader, kafka.brokers, score, signal)
  const missed = overlaps === 0 ? ['no two aborted transactions overlapped'] : []
  const endings = Object.entries(counts).map(([ending, count]) => `${count} ${ending}`)
  return {
    rounds,
    faults: rounds + counts.aborted + counts.fenced + counts['timed out'],
    events: score.produced,
    damage: log.damage,
    longestRecoveryMs: clock.longestMs,
    problems: [...missed, ...log.problems, ...source],
    notes: [
      `transactions: ${endings.join(', ')}; ${formatCount(abortedRecords)} records aborted, ` +
        `${formatCount(overlaps)} pairs of aborted transactions overlap; ${rounds} kills`,
    ],
  }
}
